"""Two real daemons on the lines that were rendered for them, each at a broker of its own; in front the C client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.load import load_text
from tests.daemon_process import DaemonProcess
from tests.interop.bus_site import DONE, STATUS_OFF, STATUS_ON, BusHost
from tests.rabbitmq_rendered import OPERATOR, Brokers

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]

NAMES = ("host1", "host2")


def lines(papers: Path) -> str:
    """What was rendered for a host, where its files are."""
    return (papers / "bus.conf").read_text("utf-8").replace("/etc/fencebus", str(papers))


def daemon_on(text: str, number: int, folder: Path) -> DaemonProcess:
    """The daemon of one of the first two hosts, on its lines."""
    # The others are in no cluster of these tests: nobody is to wait for their word.
    text = re.sub(r'host \{ name = "host[3-6]"; \}', "", text)
    return DaemonProcess(
        folder,
        backend="qmf",
        daemon=f'host = "{NAMES[number - 1]}"; request_timeout = "15";',
        backends=text.partition("backends {")[2].rpartition("}")[0],
        rest=f"hosts {{{text.partition('hosts {')[2].partition('backends')[0]}",
        vms={f"node{number}": f"52:54:00:00:02:0{number}"},
    )


@contextmanager
def two_on(papers: Callable[[str], Path], folder: Callable[[str], Path]) -> Iterator[tuple[BusHost, BusHost]]:
    """Both daemons, which know each other; ``papers`` says where what was rendered for a host is."""
    with ExitStack() as stack:
        hosts = []
        for number, name in enumerate(NAMES, 1):
            daemon = daemon_on(lines(papers(name)), number, folder(name))
            hosts.append(BusHost(name, stack.enter_context(daemon)))
        for host in hosts:
            host.daemon.process.wait_for_output("fence_virtd ready", 60)
            host.knows("node1", "node2")
        yield hosts[0], hosts[1]


@pytest.fixture(scope="module")
def two(federation: Brokers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BusHost, BusHost]]:
    """They know each other."""
    with two_on(federation.papers, tmp_path_factory.mktemp) as hosts:
        yield hosts


def test_the_daemon_takes_the_lines_as_they_stand(federation: Brokers) -> None:
    for name in federation.site.hosts:
        read = load_text(lines(federation.papers(name)), "bus.conf", read_keys=False)
        assert (read.backend.kind, read.daemon.host_name, read.hosts) == ("qmf", name, federation.site.hosts)
        assert isinstance(read.backend, QmfSettings)
        assert read.backend.trusted_users == (OPERATOR,)


def test_the_c_client_at_one_broker_has_a_vm_fenced_at_the_other(two: tuple[BusHost, BusHost]) -> None:
    ask_by_the_c_client(*two)


def ask_by_the_c_client(first: BusHost, second: BusHost) -> None:
    """Every action at the first one on the VM of the second."""
    first.sees("node2", STATUS_ON)
    assert first.ask("off", "node2").status == DONE
    first.sees("node2", STATUS_OFF)
    assert second.ask("status", "node2") == STATUS_OFF
    assert first.ask("on", "node2").status == DONE
    first.sees("node2", STATUS_ON)
    assert first.ask("reboot", "node2").status == DONE
    first.sees("node2", STATUS_ON)
    assert second.ask("status", "node1") == STATUS_ON
