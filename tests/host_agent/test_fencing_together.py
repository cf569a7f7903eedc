"""Power actions beside, after and against each other, on hypervisors in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.evidence import OTHER, THIRD, VM
from tests.host_agent.house import House, always, begun, memory_hypervisor, opened

# -- beside each other (S7) ----------


async def test_s7_another_off_that_comes_before_the_proof_joins_and_one_kill_serves_both(house: House) -> None:
    end = house.router.hold(Action.OFF)
    asking = [asyncio.create_task(house.ask(Action.OFF)), asyncio.create_task(house.ask(Action.OFF, "vm", OTHER))]
    await house.admitted(2)
    end.set()
    first, second = [(await each).outcome for each in asking]
    assert first.reason is second.reason is Reason.PROVEN_OFF
    assert first.request != second.request
    assert house.router.ended == [VM]


async def test_s7_another_off_afterwards_looks_for_itself(house: House) -> None:
    await house.ask(Action.OFF)
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.ALREADY_OFF
    assert house.router.ended == [VM, VM]


async def test_s7_an_off_after_a_fresh_boot_ends_the_new_life(house: House) -> None:
    await house.ask(Action.OFF)
    await house.ask(Action.ON)
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF
    assert await house.state() is VmState.OFF


async def test_s7_one_who_joined_stays_though_the_first_has_left(house: House) -> None:
    house.hypervisor.unreachable = True
    there = True
    first = asyncio.create_task(house.service.handle(house.new(Action.OFF), lambda: there))
    second = asyncio.create_task(house.ask(Action.OFF))
    await begun()
    there = False
    house.hypervisor.unreachable = False
    assert {(await first).outcome.reason, (await second).outcome.reason} == {Reason.PROVEN_OFF}


async def test_s7_an_off_during_a_reboots_kill_takes_its_proof_and_cancels_its_start(house: House) -> None:
    end = house.router.hold(Action.OFF)
    reboot = asyncio.create_task(house.ask(Action.REBOOT))
    await house.admitted(1)
    asking = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(2)
    end.set()
    assert (await asking).outcome.reason is Reason.PROVEN_OFF
    outcome = (await reboot).outcome
    assert (outcome.ok, outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)
    assert "an off for the same VM arrived meanwhile" in outcome.text
    assert await house.state() is VmState.OFF


async def test_s7_an_off_between_a_reboots_kill_and_its_start_cancels_the_start_and_looks_for_itself(
    house: House,
) -> None:
    start = house.router.hold(Action.ON)
    reboot = asyncio.create_task(house.ask(Action.REBOOT))
    await house.router.starting.wait()
    off = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(2)
    start.set()
    assert (await reboot).outcome.reason is Reason.REBOOTED_NOT_STARTED
    assert (await off).outcome.reason is Reason.ALREADY_OFF
    assert await house.state() is VmState.OFF


async def test_s7_an_off_during_a_reboots_start_does_not_hit_the_younger_life_unasked(house: House) -> None:
    house.hypervisor.faults(VM).start_takes = 0.4
    reboot = asyncio.create_task(house.ask(Action.REBOOT))
    await house.router.starting.wait()
    await begun()
    off = (await house.ask(Action.OFF)).outcome
    assert (await reboot).outcome.reason is Reason.REBOOTED
    assert (off.ok, off.reason) == (False, Reason.YOUNGER_LIFE)
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF


async def test_two_reboots_at_once_are_one(house: House) -> None:
    house.hypervisor.faults(VM).exit_takes = 0.05
    both = await asyncio.gather(house.ask(Action.REBOOT), house.ask(Action.REBOOT, source=OTHER))
    assert [answer.outcome.reason for answer in both] == [Reason.REBOOTED] * 2
    assert house.router.ended == house.router.started == [VM]


async def test_a_request_that_waited_looks_again_before_it_acts(house: House) -> None:
    end = house.router.hold(Action.OFF)
    off = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(1)
    on = asyncio.create_task(house.ask(Action.ON))
    await house.admitted(2)
    reboot = asyncio.create_task(house.ask(Action.REBOOT))
    await house.admitted(3)
    end.set()
    assert (await off).outcome.reason is Reason.PROVEN_OFF
    assert (await on).outcome.reason is Reason.STARTED
    # It was asked before the life began that it would have ended.
    assert (await reboot).outcome.reason is Reason.YOUNGER_LIFE
    assert await house.state() is VmState.RUNNING


async def test_a_request_that_waited_for_a_vm_that_is_gone_fails(house: House) -> None:
    end = house.router.hold(Action.OFF)
    off = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(1)
    on = asyncio.create_task(house.ask(Action.ON))
    await house.admitted(2)
    reboot = asyncio.create_task(house.ask(Action.REBOOT))
    await house.admitted(3)
    end.set()
    house.hypervisor.subscribe(lambda event: house.hypervisor.undefine(VM) if event.kind == "stopped" else None)
    await off
    assert (await on).outcome.reason is Reason.UNKNOWN_VM
    assert (await reboot).outcome.reason is Reason.UNKNOWN_VM


async def test_a_hanging_fence_of_one_vm_delays_nobody_elses(house: House) -> None:
    end = house.router.hold(Action.OFF)
    slow = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(1)
    assert (await house.ask(Action.OFF, OTHER)).outcome.reason is Reason.PROVEN_OFF
    assert (await house.ask(Action.STATUS, THIRD)).outcome.reason is Reason.STATUS_ON
    assert not slow.done()
    end.set()
    assert (await slow).outcome.ok


# -- against each other (S16) ----------


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT))
@pytest.mark.parametrize("exit_takes", (0.0, 0.05))
async def test_s16_of_two_nodes_that_shoot_each_other_at_the_same_moment_exactly_one_dies(
    house: House, action: Action, exit_takes: float
) -> None:
    house.hypervisor.faults(VM).exit_takes = house.hypervisor.faults(OTHER).exit_takes = exit_takes
    house.hypervisor.faults(VM).start_fails = house.hypervisor.faults(OTHER).start_fails = "not now"
    both = await asyncio.gather(house.ask(action, OTHER, source=VM), house.ask(action, VM, source=OTHER))
    assert sorted(answer.outcome.ok for answer in both) == [False, True]
    assert {await house.state(VM), await house.state(OTHER)} == {VmState.RUNNING, VmState.OFF}
    assert Reason.SOURCE_FENCED in {answer.outcome.reason for answer in both}


async def test_s16_of_three_nodes_that_shoot_in_a_ring_at_least_one_lives(house: House) -> None:
    ring = ((OTHER, VM), (THIRD, OTHER), (VM, THIRD))
    await asyncio.gather(*(house.ask(Action.OFF, target, source=source) for target, source in ring))
    assert VmState.RUNNING in {await house.state(vm) for vm in (VM, OTHER, THIRD)}


async def test_s16_a_request_that_waits_dies_with_its_source(house: House) -> None:
    house.hypervisor.happen(OTHER, VmState.OFF)
    start = house.router.hold(Action.ON, OTHER)
    starting = asyncio.create_task(house.ask(Action.ON, OTHER))
    await house.admitted(1)
    waiting = asyncio.create_task(house.ask(Action.OFF, OTHER, source=VM))
    await house.admitted(2)
    assert (await house.ask(Action.OFF, VM, source=THIRD)).outcome.reason is Reason.PROVEN_OFF
    start.set()
    assert (await waiting).outcome.reason is Reason.SOURCE_FENCED
    # An off that arrives before a start has begun cancels it, whatever becomes of the off.
    assert (await starting).outcome.reason is Reason.START_CANCELLED
    assert house.router.ended == [VM]


async def test_s16_a_request_that_hangs_before_its_kill_dies_with_its_source(tmp_path: Path, impatient: None) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(OTHER, "other"), name="b")
    async with opened(tmp_path, a, b) as house:
        asked = house.new(Action.OFF, OTHER, source=VM)
        found = await house.router.find(OTHER, asked.deadline)
        b.hangs = True
        hanging = house.fencing.submit(asked, found, always)
        assert (await house.ask(Action.OFF, VM)).outcome.reason is Reason.PROVEN_OFF
        b.hangs = False
        assert (await hanging).reason is Reason.SOURCE_FENCED
        assert await house.state(OTHER, 1) is VmState.RUNNING


async def test_s16_a_node_may_fence_itself(house: House) -> None:
    assert (await house.ask(Action.OFF, VM, source=VM)).outcome.reason is Reason.PROVEN_OFF
