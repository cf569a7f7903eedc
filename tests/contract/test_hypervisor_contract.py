"""What every Hypervisor does, whatever stands behind it: one suite on memory, libvirt's test driver and real QEMU."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from fencebus_agent.hypervisor import ActRefused, DomainEvent, UnknownDomain
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Life, Proof, Reason, Uuid, VmRecord, VmState
from tests.elapsed import Stopwatch
from tests.hypervisors import HOST, INCARNATION, World, allow, eventually, fresh_name, soon


async def look(world: World, target: str) -> VmRecord:
    """The VM, which must be known."""
    record = await world.hypervisor.find(target, soon())
    assert record is not None
    return record


async def test_list_holds_every_vm_with_its_state(world: World) -> None:
    vms = {await world.add(fresh_name(), state): state for state in (VmState.RUNNING, VmState.PAUSED, VmState.OFF)}
    listed = {record.uuid: record for record in await world.hypervisor.list(soon())}
    for vm, state in vms.items():
        assert listed[vm].state is state
        assert (listed[vm].host, listed[vm].incarnation) == (HOST, INCARNATION)


async def test_a_vm_is_found_by_name_and_by_uuid_in_either_case(world: World) -> None:
    name = fresh_name()
    vm = await world.add(name)
    for target in (name, vm, vm.upper()):
        record = await look(world, target)
        assert (record.uuid, record.name, record.state) == (vm, name, VmState.RUNNING)


async def test_an_unknown_vm_is_not_found(world: World) -> None:
    assert await world.hypervisor.find("no such vm", soon()) is None
    assert await world.hypervisor.find(str(uuid.uuid4()), soon()) is None


async def test_a_name_is_not_a_pattern_and_not_a_prefix(world: World) -> None:
    name = fresh_name()
    await world.add(name)
    assert await world.hypervisor.find(name[:-1], soon()) is None
    assert await world.hypervisor.find(name.upper(), soon()) is None


async def test_off_of_a_running_vm_is_proven_and_says_what_it_was(world: World) -> None:
    vm = await world.add(fresh_name())
    before = boottime()
    seen = await world.hypervisor.power_off(vm, soon(), allow)
    assert (seen.vm, seen.state, seen.proof, seen.was) == (vm, VmState.OFF, world.proof, VmState.RUNNING)
    assert (seen.host, seen.incarnation, seen.migration_in_flight) == (HOST, INCARNATION, False)
    assert before <= seen.seen_at <= boottime()
    assert seen.ended is not None


async def test_a_paused_vm_is_on_and_can_be_ended(world: World) -> None:
    vm = await world.add(fresh_name(), VmState.PAUSED)
    assert (await look(world, vm)).state is VmState.PAUSED
    seen = await world.hypervisor.power_off(vm, soon(), allow)
    assert (seen.state, seen.was, seen.proof) == (VmState.OFF, VmState.PAUSED, world.proof)


async def test_off_of_a_vm_that_is_off_proves_it_and_ends_nothing(world: World) -> None:
    vm = await world.add(fresh_name(), VmState.OFF)
    seen = await world.hypervisor.power_off(vm, soon(), allow)
    assert (seen.state, seen.was, seen.ended) == (VmState.OFF, VmState.OFF, None)
    assert seen.proof is not Proof.NONE


async def test_off_of_an_unknown_vm_is_an_error(world: World) -> None:
    with pytest.raises(UnknownDomain):
        await world.hypervisor.power_off(Uuid(str(uuid.uuid4())), soon(), allow)


async def test_on_of_an_unknown_vm_is_an_error(world: World) -> None:
    with pytest.raises(UnknownDomain):
        await world.hypervisor.power_on(Uuid(str(uuid.uuid4())), soon(), allow)


async def test_directly_after_off_the_vm_is_found_and_listed_off(world: World) -> None:
    name = fresh_name()
    vm = await world.add(name)
    await world.hypervisor.power_off(vm, soon(), allow)
    assert (await look(world, name)).state is VmState.OFF
    assert (await look(world, vm)).state is VmState.OFF
    listed = {record.uuid: record.state for record in await world.hypervisor.list(soon())}
    assert listed[vm] is VmState.OFF


async def test_off_directly_after_off_is_proven_too_and_says_that_it_was_asked_now(world: World) -> None:
    vm = await world.add(fresh_name())
    first = await world.hypervisor.power_off(vm, soon(), allow)
    second = await world.hypervisor.power_off(vm, soon(), allow)
    assert second.state is VmState.OFF
    assert second.proof is not Proof.NONE
    assert second.seen_at > first.seen_at


async def test_on_directly_after_off_works(world: World) -> None:
    vm = await world.add(fresh_name())
    await world.hypervisor.power_off(vm, soon(), allow)
    seen = await world.hypervisor.power_on(vm, soon(), allow)
    assert (seen.state, seen.was) == (VmState.RUNNING, VmState.OFF)
    assert (await look(world, vm)).state is VmState.RUNNING


async def test_on_of_a_running_vm_does_nothing_and_asks_nobody(world: World) -> None:
    vm = await world.add(fresh_name())
    asked: list[Life | None] = []
    seen = await world.hypervisor.power_on(vm, soon(), asked.append)
    assert (seen.state, seen.was, asked) == (VmState.RUNNING, VmState.RUNNING, [])


async def test_two_lives_have_two_marks_and_the_second_one_a_beginning(world: World) -> None:
    vm = await world.add(fresh_name())
    lives: list[Life | None] = []
    asked = boottime()
    for _ in range(2):
        await world.hypervisor.power_off(vm, soon(), lives.append)
        await world.hypervisor.power_on(vm, soon(), allow)
        while (life := (await world.hypervisor.look(vm, soon())).life) is None or life.began_at is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # the test driver's start is known from its event
    first, second = lives
    assert first is not None
    assert second is not None
    assert first.mark != second.mark
    assert second.began_at is not None
    assert asked <= second.began_at <= boottime()


async def test_a_transient_vm_is_found_off_after_its_end_and_starts_again(world: World) -> None:
    name = fresh_name()
    vm = await world.add(name, transient=True)
    assert (await world.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF
    for target in (name, vm):
        assert (await look(world, target)).state is VmState.OFF
    again = await world.hypervisor.power_off(vm, soon(), allow)
    assert (again.state, again.was) == (VmState.OFF, VmState.OFF)
    assert (await world.hypervisor.power_on(vm, soon(), allow)).state is VmState.RUNNING
    assert (await look(world, name)).state is VmState.RUNNING


async def test_a_saved_life_is_a_life_and_off_sets_it_aside(world: World) -> None:
    vm = await world.add(fresh_name(), VmState.SAVED)
    assert (await look(world, vm)).state is VmState.SAVED
    asked: list[Life | None] = []
    seen = await world.hypervisor.power_off(vm, soon(), asked.append)
    assert (seen.state, seen.was) == (VmState.OFF, VmState.SAVED)
    assert len(asked) == 1
    assert seen.ended == asked[0]
    assert (await look(world, vm)).state is VmState.OFF


async def test_on_never_brings_a_saved_life_back(world: World) -> None:
    vm = await world.add(fresh_name(), VmState.SAVED)
    seen = await world.hypervisor.power_on(vm, soon(), allow)
    assert (seen.state, seen.was) == (VmState.RUNNING, VmState.SAVED)
    await world.hypervisor.power_off(vm, soon(), allow)
    assert (await look(world, vm)).state is VmState.OFF


def refuse(_life: Life | None) -> None:
    """The permit that forbids."""
    raise ActRefused(Reason.YOUNGER_LIFE)


@pytest.mark.parametrize("state", (VmState.RUNNING, VmState.PAUSED, VmState.SAVED))
async def test_a_refused_off_ends_nothing(world: World, state: VmState) -> None:
    vm = await world.add(fresh_name(), state)
    with pytest.raises(ActRefused) as refusal:
        await world.hypervisor.power_off(vm, soon(), refuse)
    assert refusal.value.reason is Reason.YOUNGER_LIFE
    assert (await look(world, vm)).state is state


async def test_a_refused_on_starts_nothing(world: World) -> None:
    vm = await world.add(fresh_name(), VmState.OFF)
    with pytest.raises(ActRefused):
        await world.hypervisor.power_on(vm, soon(), refuse)
    assert (await look(world, vm)).state is VmState.OFF


async def test_after_a_refusal_the_next_off_is_its_own(world: World) -> None:
    vm = await world.add(fresh_name())
    with pytest.raises(ActRefused):
        await world.hypervisor.power_off(vm, soon(), refuse)
    assert (await world.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_two_offs_of_one_vm_at_once_both_see_it_off(world: World) -> None:
    vm = await world.add(fresh_name())
    both = await asyncio.gather(*(world.hypervisor.power_off(vm, soon(), allow) for _ in range(2)))
    assert [seen.state for seen in both] == [VmState.OFF, VmState.OFF]


async def test_an_expired_deadline_acts_on_nothing(world: World) -> None:
    vm = await world.add(fresh_name())
    past = Deadline(boottime() - 1)
    asked: list[Life | None] = []
    await asyncio.gather(world.hypervisor.power_off(vm, past, asked.append), return_exceptions=True)
    await asyncio.sleep(0.1)
    assert (await look(world, vm)).state is VmState.RUNNING
    assert asked == []


async def test_a_stop_and_a_start_are_told_to_subscribers(world: World) -> None:
    vm = await world.add(fresh_name())
    heard: list[DomainEvent] = []
    world.hypervisor.subscribe(heard.append)
    await world.hypervisor.power_off(vm, soon(), allow)
    await world.hypervisor.power_on(vm, soon(), allow)
    await eventually(lambda: {"started", "stopped"} <= {event.kind for event in heard if event.vm == vm})


async def test_neighbours_knows_the_addresses_of_a_new_vm(world: World) -> None:
    mac = f"52:54:00:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    vm = await world.add(fresh_name(), mac=mac)
    await eventually(lambda: (mac, vm) in world.hypervisor.neighbours())


async def test_the_end_of_one_vm_does_not_wait_for_another(world: World) -> None:
    vms = [await world.add(fresh_name()) for _ in range(2)]
    watch = Stopwatch()
    both = await asyncio.gather(*(world.hypervisor.power_off(vm, soon(), allow) for vm in vms))
    assert [seen.state for seen in both] == [VmState.OFF, VmState.OFF]
    # libvirt's own destroy() of one takes 0.2 s; two after each other would take as long as that at least.
    assert watch.undisturbed < 1.0
