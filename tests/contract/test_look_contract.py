"""What every hypervisor says of one VM to other hosts: memory, libvirt's test driver and real QEMU, lives marked."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from fencebus_agent.hypervisor import DomainEvent
from fencebus_schemas.model import Life, Sight, Uuid, VmState
from tests.hypervisors import World, allow, eventually, fresh_name, soon


async def look(world: World, vm: Uuid) -> Sight:
    """What other hosts would be told now."""
    return await world.hypervisor.look(vm, soon())


async def marked(world: World, vm: Uuid, state: VmState = VmState.RUNNING) -> Life:
    """The life that is there, once it has a mark that is not its process'."""
    for _ in range(1500):
        seen = await look(world, vm)
        if seen.life is not None and " " not in seen.life.mark and ":" not in seen.life.mark:
            assert seen.state is state
            return seen.life
        await asyncio.sleep(0.02)
    raise AssertionError("its life has no mark")


async def test_a_vm_of_which_nobody_has_heard_is_denied_and_not_known(sighted: World) -> None:
    seen = await look(sighted, Uuid(str(uuid.uuid4())))
    assert (seen.state, seen.known, seen.denies) == (VmState.OFF, False, True)
    assert (seen.life, seen.ended, seen.left) == (None, (), ())


async def test_a_vm_that_is_defined_and_off_is_denied_and_known(sighted: World) -> None:
    seen = await look(sighted, await sighted.add(fresh_name(), VmState.OFF))
    assert (seen.state, seen.known, seen.denies, seen.life) == (VmState.OFF, True, True, None)


@pytest.mark.parametrize("state", (VmState.RUNNING, VmState.PAUSED, VmState.SAVED))
async def test_a_life_is_claimed_by_its_mark(sighted: World, state: VmState) -> None:
    vm = await sighted.add(fresh_name(), state)
    seen = await look(sighted, vm)
    assert (seen.state, seen.known, seen.in_flight, seen.denies) == (state, True, False, False)
    assert seen.life is not None


async def test_the_mark_of_a_life_does_not_change_while_it_lasts(sighted: World) -> None:
    vm = await sighted.add(fresh_name())
    life = await marked(sighted, vm)
    for _ in range(3):
        assert (await look(sighted, vm)).life == life


async def test_a_kill_tells_the_mark_and_the_host_remembers_that_it_ended(sighted: World) -> None:
    vm = await sighted.add(fresh_name())
    life = await marked(sighted, vm)
    asked: list[Life | None] = []
    seen = await sighted.hypervisor.power_off(vm, soon(), asked.append)
    assert [one.mark for one in (*asked, seen.ended) if one] == [life.mark] * 2
    after = await look(sighted, vm)
    assert (after.state, after.ended, after.left) == (VmState.OFF, (life.mark,), ())


async def test_a_fresh_boot_has_another_mark(sighted: World) -> None:
    vm = await sighted.add(fresh_name())
    first = await marked(sighted, vm)
    await sighted.hypervisor.power_off(vm, soon(), allow)
    await sighted.hypervisor.power_on(vm, soon(), allow)
    second = await marked(sighted, vm)
    assert second.mark != first.mark
    assert second.began_at is not None
    assert (await look(sighted, vm)).ended == (first.mark,)


async def test_a_saved_life_that_is_set_aside_has_ended_under_the_mark_that_was_told(sighted: World) -> None:
    vm = await sighted.add(fresh_name(), VmState.SAVED)
    saved = (await look(sighted, vm)).life
    seen = await sighted.hypervisor.power_off(vm, soon(), allow)
    assert saved is not None
    assert seen.ended == saved
    assert saved.mark in (await look(sighted, vm)).ended


async def test_a_transient_vm_that_was_ended_is_denied_and_known_and_starts_as_another_life(sighted: World) -> None:
    vm = await sighted.add(fresh_name(), transient=True)
    life = await marked(sighted, vm)
    await sighted.hypervisor.power_off(vm, soon(), allow)
    seen = await look(sighted, vm)
    assert (seen.denies, seen.known, seen.ended) == (True, True, (life.mark,))
    await sighted.hypervisor.power_on(vm, soon(), allow)
    assert (await marked(sighted, vm)).mark != life.mark


async def test_when_a_look_denies_a_vm_its_end_has_been_told(sighted: World) -> None:
    heard: list[DomainEvent] = []
    sighted.hypervisor.subscribe(heard.append)
    vm = await sighted.add(fresh_name())
    await eventually(lambda: any(event.vm == vm and event.kind == "started" for event in heard))
    await marked(sighted, vm)
    await sighted.hypervisor.power_off(vm, soon(), allow)
    await eventually(lambda: any(event.vm == vm and event.kind == "stopped" for event in heard))
    assert (await look(sighted, vm)).denies
