"""A daemon that runs with --dry-run on a real QEMU machine, one host of two on RabbitMQ: the machine runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_console import ConsoleTerms, QmfConsole
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.qmf2_classes import DOMAIN
from tests.daemon_process import uuid_of
from tests.hypervisors import eventually
from tests.interop.bus_site import DONE, FAILED, STATUS_ON, TRUSTED, BusHost, BusSite
from tests.interop.test_on_qemu import process_of
from tests.libvirtd import Libvirtd, guest_xml
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180)]

REAL = "node31"
"""The machine of the host that runs dry."""
PLAIN = "node32"
"""The VM of the other.  No machine of another test has that name: the host that runs dry sees all processes here."""
DRY = "host2: its daemon runs with --dry-run and carries out nothing"


@dataclass(frozen=True)
class Two:
    """A host as ever with a VM of its own, and one that runs dry with the machine."""

    site: BusSite
    able: BusHost
    dry: BusHost
    machine: libvirt.virDomain

    def is_untouched(self, life: list[int]) -> bool:
        """The machine runs as it ran, neither paused nor ended."""
        return process_of(uuid_of(REAL)) == life and self.machine.state()[0] == libvirt.VIR_DOMAIN_RUNNING


@pytest.fixture
def two(tmp_path: Path, rabbitmq: RabbitMq, libvirtd: Libvirtd) -> Iterator[Two]:
    """Both, each knowing the other's VM."""
    libvirtd.revive()
    machine = libvirtd.admin.defineXML(guest_xml(REAL, uuid_of(REAL)))
    machine.create()
    site = BusSite(tmp_path, rabbitmq, ("host1", "host2"))
    able, dry = site.host("host1", {PLAIN: "52:54:00:00:00:01"}), site.host("host2", {}, uri=libvirtd.uri)
    dry.daemon.options = ["--dry-run"]
    dry.daemon.__post_init__()
    try:
        with able.daemon, dry.daemon:
            for host in (able, dry):
                host.knows(PLAIN, REAL)
            yield Two(site, able, dry, machine)
    finally:
        libvirtd.discard(uuid_of(REAL))


async def test_no_guest_no_host_and_no_console_has_a_machine_ended_by_it(two: Two) -> None:
    life = process_of(uuid_of(REAL))
    for action in ("off", "reboot"):
        assert (await asyncio.to_thread(two.able.ask, action, REAL)).status == FAILED
        (said,) = two.able.verdicts(REAL)[-1:]
        assert "reason=paused" in said
        assert DRY in said
    for target, owner in ((REAL, "host2"), (PLAIN, "host1")):
        assert (await asyncio.to_thread(two.dry.ask, "off", target)).status == FAILED
        (said,) = two.dry.verdicts(target)[-1:]
        assert "reason=paused" in said
        assert "text='dry run, nothing was done: " in said
        assert f"plan: it would be ended and its end proven by {owner}'" in said
    await told_by_a_console(two)
    assert two.is_untouched(life)
    assert "urn:fencebus:life:1" in two.machine.XMLDesc(), "its life is marked all the same"
    assert (await asyncio.to_thread(two.able.ask, "status", REAL)) == STATUS_ON
    assert (await asyncio.to_thread(two.able.ask, "off", PLAIN)).status == DONE, "what it has nobody needs it for"


async def told_by_a_console(two: Two) -> None:
    """A console whom the hosts trust asks for everything that there is."""
    bus = two.site.client(TRUSTED)
    console = QmfConsole(bus, ConsoleTerms(two.site.domain, patience=1.0))
    looking = asyncio.create_task(console.run())
    try:
        async with running(bus):
            await eventually(lambda: REAL in {one.values["name"] for one in console.picture.objects(DOMAIN.id)})
            (machine,) = [one.id for one in console.picture.objects(DOMAIN.id) if one.values["name"] == REAL]
            for method in ("destroy", "reboot", "create"):
                with pytest.raises(CallRefused, match="dry run, nothing was done"):
                    await console.call(machine, method, {}, Deadline.after(30))
            for method in ("shutdown", "suspend", "resume"):
                with pytest.raises(CallRefused, match="opened to look only"):
                    await console.call(machine, method, {}, Deadline.after(30))
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
