"""One power action on a hypervisor in memory: what fails it, what it leaves behind, and the second half of a reboot."""

from __future__ import annotations

import asyncio
import logging

import pytest

from fencebus_host import fencing
from fencebus_schemas.model import Action, Reason, VmState
from tests.elapsed import Stopwatch
from tests.host_agent.evidence import OTHER, THIRD, VM
from tests.host_agent.house import House, always, begun

# -- a kill that fails ----------


async def test_a_vm_that_survives_its_kill_is_a_failure_at_the_deadline_that_says_so(house: House) -> None:
    house.hypervisor.faults(VM).survives_kill = True
    outcome = (await house.ask(Action.OFF, patience=0.4)).outcome
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
    watch = Stopwatch()
    assert (await house.ask(Action.OFF, patience=0.05)).outcome.reason is Reason.DEADLINE
    assert watch.undisturbed < 0.9
    monkeypatch.undo()
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF


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
    outcome = (await house.ask(Action.REBOOT, patience=0.4)).outcome
    assert (outcome.ok, outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)


async def test_s5_a_start_that_never_ends_takes_nothing_from_a_proven_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.router, "power_on", never)
    monkeypatch.setattr(fencing, "GRACE", 0.05)
    outcome = (await house.ask(Action.REBOOT, patience=0.4)).outcome
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
