"""An old C fence_virtd with libvirt-qmf, in front of hosts that know each other: through face and verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fencebus_agent.memory_bus import MemoryBus
from fencebus_schemas.model import VmState
from tests.agent.old_consoles import OldDaemon
from tests.host_agent.federated_site import described, vm
from tests.host_agent.qmf_faces import Show, faces
from tests.hypervisors import eventually, soon

TWO = {"hosta": [described(1)], "hostb": [described(2)]}


@contextlib.asynccontextmanager
async def old_daemon(show: Show) -> AsyncIterator[OldDaemon]:
    """One that the broker knows as ``console``."""
    bus = MemoryBus(show.broker, "old-daemon", "console")
    made = OldDaemon(bus)
    running = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_ends_a_vm_by_name_or_uuid_and_starts_it_again() -> None:
    async with faces(TWO) as show, old_daemon(show) as daemon:
        await eventually(lambda: len(show.domains()) == 2)
        agents = await daemon.agents(2)
        assert await daemon.fence("vm2", "off", agents) == 0
        assert await show.hosts["hostb"].state(2) is VmState.OFF
        await eventually(lambda: show.domains()["vm2"] == ["hostb off"])
        assert await daemon.fence(vm(2), "on", agents) == 0
        assert await show.hosts["hostb"].state(2) is VmState.RUNNING


async def test_it_hears_a_failure_where_death_is_not_proven_whatever_it_does_with_the_number() -> None:
    async with faces(TWO, patience=1.0) as show, old_daemon(show) as daemon:
        await eventually(lambda: len(show.domains()) == 2)
        show.hosts["hostb"].hypervisor.faults(vm(2)).survives_kill = True
        code = await daemon.fence("vm2", "off", await daemon.agents(2))
        # A guest gets it in one byte.
        assert code % 256 not in (0, 2)


async def test_a_vm_in_migration_is_one_vm_and_its_arriving_half_is_not_shown() -> None:
    vms = {"hosta": [described(1)], "hostb": [described(1, VmState.INCOMING)]}
    async with faces(vms) as show, old_daemon(show) as daemon:
        await eventually(lambda: show.domains() == {"vm1": ["hosta running"]})
        assert await daemon.fence("vm1", "on", await daemon.agents(2)) == 0  # it runs: nothing is called
        assert await show.hosts["hostb"].state(1) is VmState.INCOMING


async def test_a_vm_whose_host_is_silent_is_no_success() -> None:
    vms = {"hosta": [described(1, VmState.OFF)], "hostb": [described(1)]}
    async with faces(vms) as show, old_daemon(show) as daemon:
        await eventually(lambda: show.domains() == {"vm1": ["hostb running"]})
        await show.hosts["hostb"].stop()
        show.broker.bar("hostb")
        # What is merely defined at host A is not shown beside the VM, so it is not taken for dead.
        assert await daemon.fence("vm1", "off", ["fencebus:libvirt-qmf:hosta"]) == 1
        assert await show.hosts["hostb"].state(1) is VmState.RUNNING
