"""Power actions beside, after and against each other, on hypervisors in memory."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host import fencing
from fencebus_host.routers import local
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.evidence import OTHER, THIRD, VM
from tests.host_agent.house import House, always, memory_hypervisor, opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a living VM the router waits for the other hypervisors only briefly."""
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.05)


async def begun() -> None:
    """Wait a moment, so that what waits for a hypervisor waits there."""
    await asyncio.sleep(0.03)


# -- a kill that fails ----------


async def test_a_vm_that_survives_its_kill_is_a_failure_at_the_deadline_that_says_so(house: House) -> None:
    house.hypervisor.faults(VM).survives_kill = True
    outcome = (await house.ask(Action.OFF, patience=0.1)).outcome
    assert (outcome.ok, outcome.reason, outcome.text) == (False, Reason.NOT_PROVEN, "vm is running")


async def test_s14_a_vm_that_migrates_is_never_called_off(house: House) -> None:
    house.hypervisor.faults(VM).in_flight = True
    outcome = (await house.ask(Action.OFF)).outcome
    assert (outcome.ok, outcome.reason) == (False, Reason.IN_FLIGHT)


async def test_s14_a_vm_that_vanishes_between_the_look_and_the_kill_is_never_called_off(house: House) -> None:
    asked = house.new(Action.OFF)
    found = await house.router.find(VM, asked.deadline)
    house.hypervisor.undefine(VM)
    outcome = await house.fencing.submit(asked, found, always)
    assert (outcome.ok, outcome.reason) == (False, Reason.IN_FLIGHT)
    assert "may have left by migration" in outcome.text


# -- a request that lost its patience (S12) ----------


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT))
async def test_s12_nothing_is_killed_for_a_requester_who_has_left(house: House, action: Action) -> None:
    answer = await house.service.handle(house.new(action), lambda: False)
    assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.REQUESTER_GONE)
    assert await house.state() is VmState.RUNNING


async def test_s12_nothing_is_started_for_a_requester_who_has_left(house: House) -> None:
    house.hypervisor.happen(VM, VmState.OFF)
    answer = await house.service.handle(house.new(Action.ON), lambda: False)
    assert answer.outcome.reason is Reason.REQUESTER_GONE
    assert await house.state() is VmState.OFF


async def test_s12_a_request_whose_time_passes_in_the_queue_does_nothing(house: House) -> None:
    house.hypervisor.happen(VM, VmState.OFF)
    start = house.router.hold(Action.ON)
    starting = asyncio.create_task(house.ask(Action.ON))
    await house.admitted(1)
    late = (await house.ask(Action.REBOOT, patience=0.05)).outcome
    assert (late.ok, late.reason) == (False, Reason.DEADLINE)
    start.set()
    assert (await starting).outcome.reason is Reason.STARTED
    assert house.router.ended == []


async def test_s12_a_life_that_is_younger_than_the_request_is_spared(house: House) -> None:
    asked = house.new(Action.OFF)
    house.hypervisor.happen(VM, VmState.OFF)
    house.hypervisor.happen(VM, VmState.RUNNING)
    outcome = (await house.service.handle(asked, always)).outcome
    assert (outcome.ok, outcome.reason) == (False, Reason.YOUNGER_LIFE)
    assert await house.state() is VmState.RUNNING


async def test_s9_a_router_that_does_not_end_is_given_up_shortly_after_the_deadline(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.router, "power_off", never)
    monkeypatch.setattr(fencing, "GRACE", 0.05)
    begin = boottime()
    assert (await house.ask(Action.OFF, patience=0.05)).outcome.reason is Reason.DEADLINE
    assert boottime() - begin < 0.9
    monkeypatch.undo()
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF


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


# -- the second half of a reboot (S5) ----------


async def test_s5_a_failed_start_after_a_proven_off_is_a_success_and_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.hypervisor.faults(VM).start_fails = "no memory left"
    outcome = (await house.ask(Action.REBOOT)).outcome
    assert (outcome.ok, outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)
    assert "no memory left" in caplog.records[-1].getMessage()
    assert await house.state() is VmState.OFF


async def test_s5_a_start_that_lasts_until_the_deadline_takes_nothing_from_a_proven_off(house: House) -> None:
    house.hypervisor.faults(VM).start_takes = 10
    outcome = (await house.ask(Action.REBOOT, patience=0.1)).outcome
    assert (outcome.ok, outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)


async def test_s5_a_start_that_never_ends_takes_nothing_from_a_proven_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.router, "power_on", never)
    monkeypatch.setattr(fencing, "GRACE", 0.05)
    outcome = (await house.ask(Action.REBOOT, patience=0.05)).outcome
    assert (outcome.ok, outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)
    assert "time for this request was over" in outcome.text


async def test_s5_a_defect_in_the_start_takes_nothing_from_a_proven_off_for_any_who_asked(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.hypervisor.faults(VM).exit_takes = 0.05
    house.router.defect_in = "power_on"
    both = await asyncio.gather(house.ask(Action.REBOOT), house.ask(Action.REBOOT, source=OTHER))
    assert [answer.outcome.reason for answer in both] == [Reason.REBOOTED_NOT_STARTED] * 2
    assert any(line.exc_info for line in caplog.records)


async def test_s5_an_unproven_off_is_followed_by_no_start(house: House) -> None:
    house.hypervisor.faults(VM).survives_kill = True
    assert not (await house.ask(Action.REBOOT, patience=0.05)).outcome.ok
    assert house.router.started == []


async def test_a_defect_fails_those_who_joined_too(house: House) -> None:
    house.hypervisor.unreachable = True
    house.router.defect_in = "power_off"
    both = [asyncio.create_task(house.ask(Action.OFF)) for _ in range(2)]
    await begun()
    house.hypervisor.unreachable = False
    assert [(await each).outcome.reason for each in both] == [Reason.INTERNAL] * 2


# -- what is left behind ----------


async def test_nothing_is_kept_of_what_is_over(house: House) -> None:
    await asyncio.gather(*(house.ask(action, vm) for action in (Action.OFF, Action.ON) for vm in (VM, OTHER, THIRD)))
    await house.fencing.drain(1)
    assert house.fencing._cases == {}
    assert house.fencing._tasks == set()
    assert len(house.fencing._ledger) == 0


async def test_drain_waits_for_what_has_begun_but_not_for_ever(house: House) -> None:
    end = house.router.hold(Action.OFF)
    asking = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(1)
    await house.fencing.drain(0.02)
    assert not asking.done()
    end.set()
    await house.fencing.drain(5)
    assert (await asking).outcome.ok
    await house.fencing.drain(5)


async def test_a_fence_goes_on_though_the_connection_that_asked_for_it_is_gone(house: House) -> None:
    end = house.router.hold(Action.OFF)
    asking = asyncio.create_task(house.ask(Action.OFF))
    await house.admitted(1)
    asking.cancel()
    end.set()
    await house.fencing.drain(5)
    assert await house.state() is VmState.OFF


# -- several hypervisors (S3) ----------


async def test_s3_a_vm_that_runs_in_two_places_is_ended_in_both(tmp_path: Path) -> None:
    twice = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, *twice) as house:
        outcome = (await house.ask(Action.OFF)).outcome
        assert outcome.reason is Reason.PROVEN_OFF
        assert {seen.hypervisor for seen in outcome.observations} == {"a", "b"}
        assert await house.state(VM, 0) is await house.state(VM, 1) is VmState.OFF


async def test_s3_a_vm_that_survives_in_one_of_two_places_is_not_fenced(tmp_path: Path) -> None:
    twice = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    twice[1].faults(VM).survives_kill = True
    async with opened(tmp_path, *twice) as house:
        assert not (await house.ask(Action.OFF, patience=0.1)).outcome.ok
        assert [kill[0] for kill in await house.records.kills()] == [VM]


async def test_s2_a_silent_hypervisor_does_not_hinder_the_end_of_a_life_that_another_has(
    tmp_path: Path, impatient: None
) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(OTHER, "other"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF
        assert (await house.ask(Action.STATUS, patience=0.1)).outcome.reason is Reason.NOT_PROVEN


@pytest.mark.parametrize("state", (VmState.OFF, VmState.SAVED))
async def test_s2_at_rest_here_says_nothing_about_a_silent_hypervisor(
    tmp_path: Path, impatient: None, state: VmState
) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm", state), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        assert not (await house.ask(Action.OFF, patience=0.15)).outcome.ok
        b.hangs = False
        assert await house.state(VM, 1) is VmState.RUNNING


async def test_s8_no_name_is_resolved_while_a_hypervisor_is_silent(tmp_path: Path, impatient: None) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "twin"), name="a"), memory_hypervisor(MemoryVm(OTHER, "twin"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        outcome = (await house.ask(Action.OFF, "twin", patience=0.15)).outcome
        assert (outcome.ok, outcome.reason) == (False, Reason.NOT_PROVEN)
        assert await house.state(VM) is VmState.RUNNING


async def test_s15_what_two_hypervisors_define_is_started_by_neither(tmp_path: Path) -> None:
    places = [memory_hypervisor(MemoryVm(VM, "vm", VmState.OFF), name=name) for name in "ab"]
    async with opened(tmp_path, *places) as house:
        assert (await house.ask(Action.ON)).outcome.reason is Reason.NOT_STARTED
        assert house.router.started == []


async def test_s15_a_reboot_starts_on_the_hypervisor_that_had_it_alive(tmp_path: Path) -> None:
    a = memory_hypervisor(MemoryVm(VM, "vm", VmState.OFF), name="a")
    b = memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, a, b) as house:
        assert (await house.ask(Action.REBOOT)).outcome.reason is Reason.REBOOTED
        assert (await house.state(VM, 0), await house.state(VM, 1)) == (VmState.OFF, VmState.RUNNING)
