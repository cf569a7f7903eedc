"""Sizes and versions of a host and its VMs: told when they change, left out where they cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fencebus_agent import qmf_details
from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.libvirt_driver import LibvirtDescriber
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_agent.qmf_console import QmfConsole
from fencebus_agent.qmf_details import MachineDetails
from fencebus_agent.qmf_inventory import Inventory
from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Uuid, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, NODE
from tests.agent.qmf_company import Company
from tests.hypervisors import INCARNATION, driver_world, eventually, soon

HOST = HostId("hosta")
VM, OTHER = Uuid("00000001-1111-1111-1111-111111111111"), Uuid("00000002-1111-1111-1111-111111111111")


@dataclass
class Told:
    """A describer that says what it is told to."""

    said: dict[Uuid, MachineDetails] = field(default_factory=dict)
    asked: list[frozenset[Uuid] | None] = field(default_factory=list)
    fails: bool = False

    async def machines(self, vms: Iterable[Uuid] | None, deadline: Deadline) -> Mapping[Uuid, MachineDetails]:
        """See the port."""
        self._check()
        wanted = None if vms is None else frozenset(vms)
        self.asked.append(wanted)
        return {vm: details for vm, details in self.said.items() if wanted is None or vm in wanted}

    async def node(self, deadline: Deadline) -> Mapping[str, Value]:
        """See the port."""
        self._check()
        return {"cpus": 4}

    def _check(self) -> None:
        if self.fails:
            raise HypervisorError("memory", "hangs")


@contextlib.asynccontextmanager
async def shown(describer: Told) -> AsyncIterator[tuple[QmfConsole, MemoryHypervisor]]:
    """What a console sees of a host with this describer."""
    hypervisor = MemoryHypervisor(HOST, INCARNATION, [MemoryVm(VM, "vm1"), MemoryVm(OTHER, "vm2")])
    async with Company() as company:
        console, agent = await company.console(), await company.agent(HOST)
        inventory = Inventory(agent, [hypervisor], describers=[describer])
        tasks = [asyncio.create_task(part.run()) for part in (hypervisor, inventory)]
        try:
            yield console, hypervisor
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await hypervisor.close()


def values(console: QmfConsole, name: str) -> Map:
    """Of the VM of this name."""
    return next((one.values for one in console.picture.objects(DOMAIN.id) if one.values["name"] == name), {})


async def test_what_is_described_is_shown_and_asked_for_again_only_after_an_event() -> None:
    describer = Told({VM: MachineDetails(7, 2, 2048, 1024), OTHER: MachineDetails(-1, 1, 512, 512)})
    async with shown(describer) as (console, hypervisor):
        await eventually(lambda: values(console, "vm1").get("numVcpus") == 2)
        known = values(console, "vm1")
        assert (known["id"], known["maximumMemory"], known["memory"]) == (7, 2048, 1024)
        assert "cpuTime" not in known
        await eventually(lambda: "id" not in values(console, "vm2") and values(console, "vm2").get("memory") == 512)
        (node,) = console.picture.objects(NODE.id)
        assert (node.values["cpus"], node.values["hostname"]) == (4, "hosta")
        describer.said[VM] = MachineDetails(8, 2, 2048, 2048)
        hypervisor.happen(VM, VmState.PAUSED)
        await eventually(lambda: values(console, "vm1").get("memory") == 2048)
        assert describer.asked == [None, frozenset({VM})]
        del describer.said[VM]
        hypervisor.happen(VM, VmState.RUNNING)
        await eventually(lambda: len(describer.asked) == 3)
        hypervisor.happen(OTHER, VmState.PAUSED)
        await eventually(lambda: "memory" not in values(console, "vm1"))


async def test_states_are_told_though_nothing_can_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmf_details, "AGAIN", 0.05)
    describer = Told({VM: MachineDetails(7, 2, 2048, 1024)}, fails=True)
    async with shown(describer) as (console, _):
        await eventually(lambda: values(console, "vm1").get("state") == "running")
        assert "memory" not in values(console, "vm1")
        describer.fails = False
        await eventually(lambda: values(console, "vm1").get("memory") == 1024)


async def test_libvirt_describes_its_host_and_domains(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        vm, off = await world.add("vm1"), await world.add("vm2", VmState.OFF)
        describer = LibvirtDescriber(world.hypervisor)
        every = await describer.machines(None, soon())
        assert every[vm].maximum_memory == 16384
        assert every[vm].number > 0
        assert every[off].number == -1
        assert set(await describer.machines([vm, OTHER], soon())) == {vm}
        node = await describer.node(soon())
        assert set(node) <= {one.name for one in NODE.properties}
        assert node["hypervisorType"] == "TEST"
        assert str(node["libvirtVersion"]).count(".") == 2


async def test_libvirt_that_is_out_of_reach_describes_nothing(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        describer = LibvirtDescriber(world.hypervisor)
        await world.hypervisor.close()
        for question in (describer.node(Deadline.after(0.2)), describer.machines(None, Deadline.after(0.2))):
            with pytest.raises(HypervisorError):
                await question
