"""Three daemons on one RabbitMQ, and the C client: what a guest of one host can have done to the VMs of the others.

The first and the third host have libvirt's test driver, the second one real QEMU machines, so that it can be seen
from outside what lives there.  The third speaks AMQP 1.0 to the broker, the others 0-9-1; the first one's list begins
with a broker that is not there.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.bus import BusMessage, Priority
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_console import ConsoleTerms, QmfConsole
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.qmf2_classes import DOMAIN
from tests.chromium import browser, tab
from tests.daemon_process import uuid_of
from tests.hypervisors import eventually, soon
from tests.interop.bus_site import (
    DENIED,
    DONE,
    FAILED,
    STATUS_OFF,
    STATUS_ON,
    STRANGER,
    TRUSTED,
    BusHost,
    BusSite,
    rubbish,
)
from tests.interop.test_on_qemu import process_of
from tests.libvirtd import Libvirtd, guest_xml
from tests.ports import free_tcp_port
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import running
from tests.server_process import ServerProcess

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180)]

NAMES = ("host1", "host2", "host3")
REAL, ELSEWHERE = "node21", "node8"
"""A real machine of the second host; a VM that is defined there, and runs at the third."""
GROUPS = 'groups { group { name = "third"; uuid = "node3"; uuid = "node8"; ip = "127.0.0.0/8"; } }'


@dataclass
class Three:
    """The hosts and what stands between and behind them."""

    site: BusSite
    first: BusHost
    second: BusHost
    third: BusHost
    libvirtd: Libvirtd

    def life(self) -> list[int]:
        """The processes of the real machine."""
        return process_of(uuid_of(REAL))

    def boot(self) -> None:
        """The real machine runs."""
        domain = self.libvirtd.admin.lookupByUUIDString(uuid_of(REAL))
        if not self.life():
            self.first.daemon.process.wait_until(lambda: not domain.isActive(), what="free of its last life")
            domain.create()
        self.first.sees(REAL, STATUS_ON)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMq, libvirtd: Libvirtd) -> Iterator[Three]:
    """All three, which know each other."""
    site = BusSite(tmp_path_factory.mktemp("site"), rabbitmq, NAMES)
    nobody = f"amqp://host1:x@127.0.0.1:{free_tcp_port()}, "
    first = site.host("host1", {"node1": "52:54:00:00:00:01"}, before=nobody)
    second = site.host("host2", {}, uri=libvirtd.uri)
    third = site.host(
        "host3",
        {"node3": "52:54:00:00:00:03", "node5": "52:54:00:00:00:05", ELSEWHERE: "52:54:00:00:00:08"},
        rest=GROUPS,
        scheme="amqp1",
    )
    with ExitStack() as stack:
        for name in (REAL, ELSEWHERE):
            libvirtd.admin.defineXML(guest_xml(name, uuid_of(name)))
            stack.callback(libvirtd.discard, uuid_of(name))
        for host in (first, second, third):
            stack.enter_context(host.daemon)
        for host in (first, second, third):
            host.daemon.wait_ready()
        first.knows("node1", REAL, "node3", "node5")
        second.knows("node1", REAL, "node3", "node5")
        third.knows("node3")
        yield Three(site, first, second, third, libvirtd)


def test_every_action_at_one_host_reaches_a_real_machine_of_another(three: Three) -> None:
    three.boot()
    first = three.first
    (old,) = three.life()
    assert first.ask("off", REAL).status == DONE
    assert three.life() == []
    first.sees(REAL, STATUS_OFF)
    assert first.ask("off", REAL).status == DONE
    assert "reason=already-off" in first.verdicts(REAL)[-1]
    assert first.ask("on", REAL).status == DONE
    assert "reason=started" in first.verdicts(REAL)[-1]
    (new,) = three.life()
    assert new != old
    assert first.ask("reboot", REAL).status == DONE
    assert "reason=rebooted" in first.verdicts(REAL)[-1]
    (newest,) = three.life()
    assert newest != new
    first.sees(REAL, STATUS_ON)


def test_a_list_shows_the_vms_of_all_hosts_and_no_more_than_the_groups_allow(three: Three) -> None:
    everything = three.first.ask("list").text
    assert [line.split()[0] for line in everything.splitlines()] == ["node1", REAL, "node3", "node5", ELSEWHERE]
    assert [line.split()[0] for line in three.third.ask("list").text.splitlines()] == ["node3", ELSEWHERE]


def test_a_vm_that_nobody_knows_or_whose_name_has_another_case_is_a_failure(three: Three) -> None:
    for target in ("node99", REAL.upper(), uuid_of("node99")):
        assert three.first.ask("off", target).status == FAILED
        assert "ok=no reason=unknown-vm" in three.first.verdicts(target)[-1]


def test_the_groups_of_both_hosts_count(three: Three) -> None:
    assert three.third.ask("off", "node1").status == DENIED
    assert "reason=denied" in three.third.verdicts("node1")[-1]
    assert three.first.ask("off", "node5").status in (DENIED, FAILED)  # the first host allows it, the owner does not
    assert "reason=denied" in three.first.verdicts("node5")[-1]
    assert three.first.ask("status", "node5") == STATUS_ON


def test_a_vm_that_runs_at_one_host_is_not_started_where_it_is_defined_too(three: Three) -> None:
    for host in (three.second, three.first):
        assert host.ask("status", ELSEWHERE) == STATUS_ON
        assert host.ask("on", ELSEWHERE).status == DONE
        assert "reason=already-on" in host.verdicts(ELSEWHERE)[-1]
    assert process_of(uuid_of(ELSEWHERE)) == []
    domain = three.libvirtd.admin.lookupByUUIDString(uuid_of(ELSEWHERE))
    assert domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


async def test_what_a_stranger_sends_does_nothing_and_is_logged(three: Three) -> None:
    await asyncio.to_thread(three.boot)
    site, heard = three.site, list[BusMessage]()
    bus = site.client(STRANGER)
    bus.subscribe(site.address("host2"), heard.append)  # whatever a fence takes is heard by the stranger too
    async with running(bus):
        assert (await asyncio.to_thread(three.first.ask, "off", REAL)).status == DONE
        await eventually(lambda: any(b"fence" in message.body for message in heard))
        await asyncio.to_thread(three.boot)
        (life,) = three.life()
        recorded = [message.body for message in heard]
        forged = [body.replace(b"node21", b"node22") for body in recorded]
        for body in (*recorded, *forged, b"", b"{}", recorded[0][:-1]):
            for to in (site.address("host2"), site.everybody):
                await bus.send(to, rubbish(body), soon(), Priority.COMMAND)
    await asyncio.to_thread(three.second.daemon.process.wait_for_output, "on the bus was dropped")
    assert (await asyncio.to_thread(three.first.ask, "status", REAL)) == STATUS_ON
    assert three.life() == [life]


@asynccontextmanager
async def console(three: Three, user: str) -> AsyncIterator[QmfConsole]:
    """A QMF console that has found all hosts."""
    bus = three.site.client(user)
    found = QmfConsole(bus, ConsoleTerms(three.site.domain, patience=1.0))
    looking = asyncio.create_task(found.run())
    try:
        async with running(bus):
            await eventually(lambda: {agent.name.instance for agent in found.picture.agents()} == set(NAMES))
            yield found
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def shown(found: QmfConsole) -> dict[str, str]:
    """Which host shows which VM."""
    objects = found.picture.objects(DOMAIN.id)
    return {str(one.values["name"]): one.id.agent.rpartition(":")[2] for one in objects}


async def test_a_console_sees_who_has_what_and_ends_a_vm_only_if_its_user_is_trusted(three: Three) -> None:
    await asyncio.to_thread(three.boot)
    expected = {"node1": "host1", REAL: "host2", "node3": "host3", "node5": "host3", ELSEWHERE: "host3"}
    async with console(three, STRANGER) as stranger, console(three, TRUSTED) as trusted:
        await eventually(lambda: shown(stranger) == expected)
        (machine,) = [one.id for one in stranger.picture.objects(DOMAIN.id) if one.values["name"] == REAL]
        with pytest.raises(CallRefused, match="not trusted"):
            await stranger.call(machine, "destroy", {}, Deadline.after(30))
        assert three.life()
        assert three.second.daemon.says(f"refused destroy for user '{STRANGER}'")
        await eventually(lambda: shown(trusted) == expected)
        assert await trusted.call(machine, "destroy", {}, Deadline.after(30)) == {}
        assert three.life() == []


async def test_a_page_on_a_machine_without_a_daemon_shows_who_has_what_and_a_fence_as_it_happens(
    three: Three, tmp_path: Path
) -> None:
    """By a user of the broker whom no host trusts, in a real browser."""
    await asyncio.to_thread(three.boot)
    command = [sys.executable, "-m", "fencebus_host.ctl", "web", "--port", "0", "--domain", three.site.domain]
    url = {"FENCEBUS_BUS_URL": three.site.broker.url(STRANGER)}
    with browser(tmp_path) as chromium, ServerProcess(command, tmp_path / "web.log", url) as web:
        web.wait_for_output("http://")
        async with tab(chromium, web.output.split()[0]) as page:
            await page.until("document.querySelectorAll('#rows .running').length === 5")
            assert await page.look(WHO_HAS_WHAT) == {
                "node1": "host1",
                REAL: "host2",
                "node3": "host3",
                "node5": "host3",
                ELSEWHERE: "host3",
            }
            assert (await asyncio.to_thread(three.first.ask, "off", REAL)).status == DONE
            await page.until("document.querySelector('#fences .done') && document.querySelector('#rows .off')")
            assert f"off {REAL}" in str(await page.look("document.querySelector('#fences').innerText"))
            assert page.complaints() == []


WHO_HAS_WHAT = """Object.fromEntries([...document.querySelectorAll('#rows .row')].map(
  (row) => [row.querySelector('.name').innerText, row.querySelector('.owner').innerText]))"""


def test_without_its_broker_a_host_fences_its_own_vms_and_fails_for_others_by_its_deadline(three: Three) -> None:
    three.boot()
    (life,) = three.life()
    with three.site.broker.frozen():
        assert three.first.ask("off", "node1").status == DONE
        assert three.first.ask("off", REAL).status == FAILED
        (verdict,) = three.first.verdicts(REAL)[-1:]
        assert "ok=no" in verdict
        assert "host2" in verdict
    assert three.life() == [life]
    assert three.first.ask("off", REAL).status == DONE
    assert three.life() == []


def test_a_host_whose_daemon_was_killed_is_named_and_its_vm_runs_on(three: Three) -> None:
    three.boot()
    (life,) = three.life()
    three.second.daemon.process.stop(signal.SIGKILL)
    assert three.first.ask("off", REAL).status == FAILED
    verdict = three.first.verdicts(REAL)[-1]
    assert "ok=no" in verdict
    assert "host2" in verdict
    assert three.life() == [life]
    three.second.daemon.process.start()
    three.second.daemon.wait_ready()
    three.first.knows(REAL)
    assert three.first.ask("off", REAL).status == DONE
    assert three.life() == []


def test_the_hosts_key_is_changed_without_a_gap(three: Three) -> None:
    """The new one behind the old one everywhere, then before it; and back, as the other tests know the old one."""
    hosts = (three.first, three.second, three.third)
    for order in (("bus.key", "new.key"), ("new.key", "bus.key")):
        for host in hosts:
            host.use_keys(*order)
            assert three.first.ask("reboot", "node3").status == DONE
    for host in hosts:
        host.use_keys("bus.key", "new.key")
    for host in hosts:
        host.use_keys("bus.key")
    assert three.first.ask("reboot", "node3").status == DONE
    assert not any(host.daemon.says("need a restart") for host in hosts)


def test_hosts_that_stop_leave_in_order(three: Three) -> None:
    for host in (three.third, three.first):
        assert host.daemon.process.stop() == 0
        assert "Traceback" not in host.daemon.log
        assert "defect" not in host.daemon.log
        host.daemon.process.start()
        host.daemon.wait_ready()
