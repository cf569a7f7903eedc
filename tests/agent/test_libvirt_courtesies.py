"""What a console may ask of a VM besides a fence, on libvirt's test driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError, UnknownDomain
from fencebus_agent.libvirt_driver import LibvirtCourtesies, LibvirtDescriber
from fencebus_schemas.model import Uuid, VmState
from tests.hypervisors import LibvirtWorld, driver_world, fresh_name, soon


async def state(world: LibvirtWorld, vm: Uuid) -> VmState | None:
    found = await world.hypervisor.find(vm, soon())
    return found.state if found else None


async def test_a_vm_is_suspended_resumed_and_shut_down(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        vm, courtesies = await world.add(fresh_name()), LibvirtCourtesies(world.hypervisor)
        await courtesies.suspend(vm, soon())
        assert await state(world, vm) is VmState.PAUSED
        await courtesies.resume(vm, soon())
        assert await state(world, vm) is VmState.RUNNING
        await courtesies.shut_down(vm, soon())
        assert await state(world, vm) is VmState.OFF


async def test_only_what_plainly_is_in_the_right_state_is_touched(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        vm, courtesies = await world.add("vm7"), LibvirtCourtesies(world.hypervisor)
        with pytest.raises(HypervisorError, match="vm7 is not plainly paused: running, job: none"):
            await courtesies.resume(vm, soon())
        await courtesies.suspend(vm, soon())
        with pytest.raises(HypervisorError, match="vm7 is not plainly running: paused"):
            await courtesies.suspend(vm, soon())
        off = await world.add("vm8", VmState.OFF)
        with pytest.raises(HypervisorError, match="vm8 is not plainly running or paused: off"):
            await courtesies.shut_down(off, soon())


async def test_the_definition_is_libvirts_and_holds_no_secret(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        vm = await world.add("vm7")
        definition = await LibvirtCourtesies(world.hypervisor).definition(vm, soon())
        assert f"<uuid>{vm}</uuid>" in definition
        assert "passwd" not in definition


async def test_a_vm_that_is_not_here_is_unknown(tmp_path: Path) -> None:
    async with driver_world(tmp_path) as world:
        with pytest.raises(UnknownDomain):
            await LibvirtCourtesies(world.hypervisor).suspend(Uuid("00000000-0000-4000-8000-000000000000"), soon())


async def test_on_real_qemu_a_vm_is_suspended_resumed_and_described(qemu: LibvirtWorld) -> None:
    vm = await qemu.add(fresh_name())
    courtesies = LibvirtCourtesies(qemu.hypervisor)
    await courtesies.suspend(vm, soon())
    assert await state(qemu, vm) is VmState.PAUSED
    await courtesies.resume(vm, soon())
    assert await state(qemu, vm) is VmState.RUNNING
    assert f"<uuid>{vm}</uuid>" in await courtesies.definition(vm, soon())
    described = await LibvirtDescriber(qemu.hypervisor).machines([vm], soon())
    assert described[vm].number > 0
    assert described[vm].processors >= 1
