"""Two real daemons on the lines that were rendered for them, each at a broker of its own; in front the C client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.load import load_text
from tests.daemon_process import DaemonProcess
from tests.interop.bus_site import DONE, STATUS_OFF, STATUS_ON, BusHost
from tests.rabbitmq_rendered import OPERATOR, Brokers

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]

NAMES = ("host1", "host2")


def lines(brokers: Brokers, host: str) -> str:
    """What was rendered for a host, where its files are."""
    papers = brokers.papers(host)
    return (papers / "bus.conf").read_text("utf-8").replace("/etc/fencebus", str(papers))


@pytest.fixture(scope="module")
def two(federation: Brokers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BusHost, BusHost]]:
    """They know each other."""
    with ExitStack() as stack:
        hosts = []
        for number, name in enumerate(NAMES, 1):
            # The others are in no cluster of these tests: nobody is to wait for their word.
            text = re.sub(r'host \{ name = "host[3-6]"; \}', "", lines(federation, name))
            bus = text.partition("backends {")[2].rpartition("}")[0]
            daemon = DaemonProcess(
                tmp_path_factory.mktemp(name),
                backend="qmf",
                daemon=f'host = "{name}"; request_timeout = "15";',
                backends=bus,
                rest=f"hosts {{{text.partition('hosts {')[2].partition('backends')[0]}",
                vms={f"node{number}": f"52:54:00:00:02:0{number}"},
            )
            hosts.append(BusHost(name, stack.enter_context(daemon)))
        for host in hosts:
            host.daemon.process.wait_for_output("fence_virtd ready", 60)
            host.knows("node1", "node2")
        yield hosts[0], hosts[1]


def test_the_daemon_takes_the_lines_as_they_stand(federation: Brokers) -> None:
    for name in federation.site.hosts:
        read = load_text(lines(federation, name), "bus.conf", read_keys=False)
        assert (read.backend.kind, read.daemon.host_name, read.hosts) == ("qmf", name, federation.site.hosts)
        assert isinstance(read.backend, QmfSettings)
        assert read.backend.trusted_users == (OPERATOR,)


def test_the_c_client_at_one_broker_has_a_vm_fenced_at_the_other(two: tuple[BusHost, BusHost]) -> None:
    first, second = two
    first.sees("node2", STATUS_ON)
    assert first.ask("off", "node2").status == DONE
    first.sees("node2", STATUS_OFF)
    assert second.ask("status", "node2") == STATUS_OFF
    assert first.ask("on", "node2").status == DONE
    first.sees("node2", STATUS_ON)
    assert first.ask("reboot", "node2").status == DONE
    first.sees("node2", STATUS_ON)
    assert second.ask("status", "node1") == STATUS_ON
