"""What an agent shows follows its hypervisor, and never makes a memory of a VM look like the VM."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fencebus_agent import qmf_inventory
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_agent.qmf_console import QmfConsole
from fencebus_agent.qmf_inventory import Inventory, OwnerOf, alive_here
from fencebus_schemas.model import HostId, Uuid, VmRecord, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, NODE
from fencebus_schemas.qmf2_data import Event
from tests.agent.qmf_company import Company
from tests.hypervisors import INCARNATION, eventually

HOST = HostId("hosta")
VMS = [Uuid(f"{number:08}-1111-1111-1111-111111111111") for number in range(3)]


class Site:
    """A host whose VMs a console sees."""

    def __init__(self, console: QmfConsole, hypervisor: MemoryHypervisor, inventory: Inventory) -> None:
        self.console, self.hypervisor, self.inventory = console, hypervisor, inventory
        self.events: list[Event] = []
        console.subscribe(lambda _, event: self.events.append(event))

    def seen(self) -> dict[str, str]:
        """The VMs and their states."""
        found = self.console.picture.objects(DOMAIN.id)
        return {str(one.values["name"]): str(one.values["detailedState"]) for one in found}


@contextlib.asynccontextmanager
async def site(owner_of: OwnerOf = alive_here) -> AsyncIterator[Site]:
    """As long as the context lasts; two VMs run and one is off."""
    states = (VmState.RUNNING, VmState.PAUSED, VmState.OFF)
    vms = [MemoryVm(uuid, f"vm{at}", state) for at, (uuid, state) in enumerate(zip(VMS, states, strict=True))]
    hypervisor = MemoryHypervisor(HOST, INCARNATION, vms)
    async with Company() as company:
        console, agent = await company.console(), await company.agent(HOST)
        inventory = Inventory(agent, [hypervisor], owner_of)
        tasks = [asyncio.create_task(part.run()) for part in (hypervisor, inventory)]
        try:
            yield Site(console, hypervisor, inventory)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await hypervisor.close()


async def test_only_what_has_a_life_here_is_shown_where_no_other_host_is_known() -> None:
    async with site() as here:
        await eventually(lambda: here.seen() == {"vm0": "running", "vm1": "paused"})
        assert [one.values["hostname"] for one in here.console.picture.objects(NODE.id)] == ["hosta"]


async def test_who_knows_the_owners_says_what_is_shown() -> None:
    owners = {VMS[1]: HostId("hostb")}
    async with site(lambda record: owners.get(record.uuid, HOST)) as here:
        await eventually(lambda: here.seen() == {"vm0": "running", "vm2": "off"})
        owners.clear()
        here.inventory.reread()
        await eventually(lambda: len(here.seen()) == 3)


async def test_a_change_is_seen_and_told_as_an_event_with_the_vms_name() -> None:
    async with site() as here:
        await eventually(lambda: len(here.seen()) == 2)
        here.hypervisor.happen(VMS[2], VmState.RUNNING)
        await eventually(lambda: here.seen().get("vm2") == "running" and bool(here.events))
        assert (here.events[0].values["name"], here.events[0].values["uuid"]) == ("vm2", VMS[2])
        here.hypervisor.happen(VMS[0], VmState.OFF)
        await eventually(lambda: set(here.seen()) == {"vm1", "vm2"})


async def test_what_cannot_be_read_any_more_is_unknown_and_so_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmf_inventory, "LIST_SECONDS", 0.05)
    async with site(lambda _: HOST) as here:
        await eventually(lambda: len(here.seen()) == 3)
        here.hypervisor.unreachable = True
        here.inventory.reread()
        await eventually(lambda: here.seen() == {"vm0": "unknown", "vm1": "unknown", "vm2": "unknown"})
        assert {one.values["state"] for one in here.console.picture.objects(DOMAIN.id)} == {"running"}
        here.hypervisor.unreachable = False
        here.inventory.reread()
        await eventually(lambda: here.seen() == {"vm0": "running", "vm1": "paused", "vm2": "off"})


@pytest.mark.parametrize("state", VmState)
def test_alone_a_host_owns_what_has_a_life_there(state: VmState) -> None:
    record = VmRecord(VMS[0], "vm0", state, HOST, INCARNATION)
    assert (alive_here(record) == HOST) == (state not in (VmState.OFF, VmState.UNKNOWN))


async def test_it_ends_though_something_happens_at_the_same_moment() -> None:
    hypervisor = MemoryHypervisor(HOST, INCARNATION)
    async with Company() as company:
        inventory = Inventory(await company.agent(HOST), [hypervisor])
        for ticks in range(3):
            running = asyncio.create_task(inventory.run())
            await asyncio.sleep(0.1)
            inventory.reread()
            for _ in range(ticks):
                await asyncio.sleep(0)
            running.cancel()
            done, _ = await asyncio.wait([running], timeout=30)
            assert done
