"""Hosts on files as the C daemon had them for its libvirt-qmf, at a real qpidd that asks nobody who they are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon_process import DaemonProcess
from tests.interop.bus_site import BUS_KEY, DONE, STATUS_OFF, STATUS_ON, BusHost
from tests.qpidd import require_qpidd, running_qpidd

pytestmark = [pytest.mark.xdist_group("qpidd"), pytest.mark.timeout(120)]

NAMES = ("host1", "host2")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BusHost, BusHost]]:
    """They know each other."""
    key = tmp_path_factory.mktemp("keys") / "bus.key"
    key.touch(mode=0o600)
    key.write_bytes(BUS_KEY)
    listed = " ".join(f'host {{ name = "{name}"; }}' for name in NAMES)
    with ExitStack() as stack:
        broker = stack.enter_context(running_qpidd(require_qpidd(), tmp_path_factory.mktemp("broker")))
        host, _, port = broker.partition(":")
        old = f'host = "{host}"; port = "{port}"; username = "fence"; service = "qpidd"; gssapi = "0";'
        hosts = []
        for number, name in enumerate(NAMES, 1):
            daemon = DaemonProcess(
                tmp_path_factory.mktemp(name),
                backend="libvirt-qmf",
                daemon=f'host = "{name}"; request_timeout = "15";',
                backends=f'libvirt-qmf {{ {old} key_file = "{key}"; }}',
                rest=f"hosts {{ {listed} }}",
                vms={f"node{number}": f"52:54:00:00:02:0{number}"},
            )
            hosts.append(BusHost(name, stack.enter_context(daemon)))
        for each in hosts:
            each.daemon.process.wait_for_output("fence_virtd ready", 60)
            each.knows("node1", "node2")
        yield hosts[0], hosts[1]


def test_the_c_client_at_one_has_a_vm_of_the_other_fenced(two: tuple[BusHost, BusHost]) -> None:
    first, second = two
    assert first.ask("off", "node2").status == DONE
    first.sees("node2", STATUS_OFF)
    assert second.ask("on", "node2").status == DONE
    first.sees("node2", STATUS_ON)


def test_the_daemon_says_that_such_a_broker_vouches_for_nobody(two: tuple[BusHost, BusHost]) -> None:
    two[0].daemon.process.wait_for_output("compares no user ids", 30)


def test_the_doctor_finds_the_broker_well(two: tuple[BusHost, BusHost]) -> None:
    argv: list[str | Path] = [sys.executable, "-m", "fencebus_host.ctl", "doctor", "-f", two[0].daemon.config_file]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert "part: router libvirt-qmf works" in done.stdout, done.stdout + done.stderr
    assert re.search(r"reachable: broker 127\.0\.0\.1:\d+ can be reached", done.stdout), done.stdout
