"""A request's way from a listener to its answer, on one host with a hypervisor in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.control_history import Wanted
from fencebus_host.policy import Policy
from fencebus_schemas.model import Action, Reason, RequestId, Source, VmState
from tests.elapsed import Stopwatch
from tests.host_agent.evidence import OTHER, THIRD, VM
from tests.host_agent.house import House, always, group, memory_hypervisor, opened

# -- every action ----------


async def test_off_ends_a_running_vm(house: House) -> None:
    answer = await house.ask(Action.OFF)
    assert (answer.outcome.ok, answer.outcome.reason) == (True, Reason.PROVEN_OFF)
    assert await house.state() is VmState.OFF


async def test_off_of_a_vm_that_is_off_says_so(house: House) -> None:
    house.hypervisor.happen(VM, VmState.OFF)
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.ALREADY_OFF


async def test_off_sets_a_saved_life_aside(house: House) -> None:
    house.hypervisor.happen(VM, VmState.SAVED)
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF
    assert await house.state() is VmState.OFF


async def test_on_starts_what_is_off_and_leaves_what_runs(house: House) -> None:
    house.hypervisor.happen(VM, VmState.OFF)
    assert (await house.ask(Action.ON)).outcome.reason is Reason.STARTED
    assert (await house.ask(Action.ON)).outcome.reason is Reason.ALREADY_ON
    assert await house.state() is VmState.RUNNING


async def test_reboot_ends_a_life_and_begins_another(house: House) -> None:
    assert (await house.ask(Action.REBOOT)).outcome.reason is Reason.REBOOTED
    assert await house.state() is VmState.RUNNING
    assert house.router.ended == house.router.started == [VM]


@pytest.mark.parametrize("state", (VmState.OFF, VmState.SAVED))
async def test_reboot_starts_nothing_that_did_not_run(house: House, state: VmState) -> None:
    house.hypervisor.happen(VM, state)
    assert (await house.ask(Action.REBOOT)).outcome.ok
    assert await house.state() is VmState.OFF
    assert house.router.started == []


@pytest.mark.parametrize(
    ("state", "reason"),
    (
        (VmState.RUNNING, Reason.STATUS_ON),
        (VmState.PAUSED, Reason.STATUS_ON),
        (VmState.OFF, Reason.STATUS_OFF),
    ),
)
async def test_status_says_what_the_hypervisor_says(house: House, state: VmState, reason: Reason) -> None:
    house.hypervisor.happen(VM, state)
    assert (await house.ask(Action.STATUS)).outcome.reason is reason


async def test_off_then_status_says_off_at_once(house: House) -> None:
    await house.ask(Action.OFF)
    assert (await house.ask(Action.STATUS)).outcome.reason is Reason.STATUS_OFF


async def test_list_shows_all_vms_by_name(house: House) -> None:
    answer = await house.ask(Action.LIST, target="")
    assert answer.outcome.reason is Reason.LISTED
    assert [vm.name for vm in answer.vms] == ["other", "third", "vm"]


async def test_monitor_succeeds_while_the_hypervisor_answers_and_fails_when_it_does_not(house: House) -> None:
    assert (await house.ask(Action.MONITOR, target="")).outcome.reason is Reason.ALIVE
    house.hypervisor.unreachable = True
    assert (await house.ask(Action.MONITOR, target="", patience=0.3)).outcome.reason is Reason.HYPERVISOR_ERROR


async def test_null_always_fails(house: House) -> None:
    answer = await house.ask(Action.NULL)
    assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.UNSUPPORTED)


# -- who is meant, and who may (S8, S6) ----------


async def test_a_name_is_as_good_as_a_uuid(house: House) -> None:
    assert (await house.ask(Action.OFF, "other")).outcome.ok
    assert await house.state(OTHER) is VmState.OFF


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON, Action.STATUS))
async def test_a_vm_that_nobody_knows_is_a_failure(house: House, action: Action) -> None:
    answer = await house.ask(action, "nobody")
    assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.UNKNOWN_VM)


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON, Action.STATUS))
async def test_a_name_that_two_vms_have_is_a_failure_and_both_live(tmp_path: Path, action: Action) -> None:
    twins = memory_hypervisor(MemoryVm(VM, "twin"), name="a"), memory_hypervisor(MemoryVm(OTHER, "twin"), name="b")
    async with opened(tmp_path, *twins) as house:
        assert (await house.ask(action, "twin")).outcome.reason is Reason.AMBIGUOUS_NAME
        assert await house.state(VM) is await house.state(OTHER, 1) is VmState.RUNNING
        assert house.router.ended == []


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON, Action.STATUS))
async def test_who_is_in_no_group_is_denied_and_nothing_happens(house: House, action: Action) -> None:
    house.service.reconfigure(Policy([group(OTHER, ips=("192.0.2.7",))]))
    assert (await house.ask(action)).outcome.reason is Reason.DENIED
    assert (await house.ask(action, "nobody")).outcome.reason is Reason.DENIED
    assert await house.state() is VmState.RUNNING
    assert (await house.ask(action, "other")).outcome.ok


async def test_list_shows_only_what_the_source_may_fence(house: House) -> None:
    house.service.reconfigure(Policy([group("other", ips=("192.0.2.0/24",))]))
    assert [vm.uuid for vm in (await house.ask(Action.LIST, target="")).vms] == [OTHER]


async def test_a_guest_whose_identity_is_certain_is_looked_for_by_its_uuid(house: House) -> None:
    house.service.reconfigure(Policy([group(VM, OTHER)]))
    asked = dataclasses.replace(house.new(Action.OFF), source=Source(OTHER, OTHER))
    certain = dataclasses.replace(asked, source=dataclasses.replace(asked.source, known=True))
    assert (await house.service.handle(certain, always)).outcome.ok


async def test_an_ambiguous_name_needs_permission_for_every_vm_that_has_it(tmp_path: Path) -> None:
    twins = memory_hypervisor(MemoryVm(VM, "twin"), name="a"), memory_hypervisor(MemoryVm(OTHER, "twin"), name="b")
    async with opened(tmp_path, *twins) as house:
        house.service.reconfigure(Policy([group(VM, ips=("192.0.2.7",))]))
        assert (await house.ask(Action.OFF, "twin")).outcome.reason is Reason.DENIED


# -- every wait ends (S9) ----------


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON, Action.STATUS, Action.LIST))
async def test_s9_an_unreachable_hypervisor_is_a_failure_at_the_deadline(house: House, action: Action) -> None:
    house.hypervisor.unreachable = True
    watch = Stopwatch()
    answer = await house.ask(action, patience=0.3)
    assert answer.outcome.reason is Reason.HYPERVISOR_ERROR
    assert watch.undisturbed < 1.5


async def test_s12_what_failed_is_not_done_when_the_hypervisor_heals(house: House) -> None:
    house.hypervisor.hangs = True
    assert not (await house.ask(Action.OFF, patience=0.05)).outcome.ok
    house.hypervisor.hangs = False
    await asyncio.sleep(0.05)
    assert await house.state() is VmState.RUNNING


async def test_a_hypervisor_that_heals_in_time_does_what_was_asked(house: House) -> None:
    house.hypervisor.unreachable = True
    asking = asyncio.create_task(house.ask(Action.OFF))
    await asyncio.sleep(0.05)
    house.hypervisor.unreachable = False
    assert (await asking).outcome.reason is Reason.PROVEN_OFF


async def test_s9_a_router_that_never_answers_is_a_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(house.router, "find", never)
    assert (await house.ask(Action.STATUS, patience=0.01)).outcome.reason is Reason.DEADLINE


# -- a defect is a failure, not silence ----------


@pytest.mark.parametrize("place", ("find", "power_off"))
async def test_a_defect_in_the_router_is_a_failure_with_a_traceback_in_the_log(
    house: House, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.router.defect_in = place
    answer = await house.ask(Action.OFF)
    assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.INTERNAL)
    assert any(line.exc_info for line in caplog.records)
    house.router.defect_in = ""
    assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF


async def test_an_answer_after_the_records_were_closed_is_still_an_answer(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.records.close()
    answer = await house.ask(Action.ON)
    assert answer.outcome.reason is Reason.ALREADY_ON
    assert "the records are closed" in caplog.text


# -- what it leaves in the log and in the history ----------


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON))
async def test_a_power_action_leaves_exactly_two_lines(
    house: House, action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await house.ask(action, "other", source=THIRD)
    lines = [line.getMessage() for line in caplog.records]
    assert len(lines) == 2
    first, second = lines
    assert first.startswith(f"accepted request={answer.outcome.request} action={action.name.lower()} target='other'")
    assert "source=192.0.2.8 via=tcp" in first
    assert f"ok=yes reason={answer.outcome.reason.value}" in second


async def test_both_lines_and_the_history_tell_which_guest_is_behind_an_address(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.service.introduce({THIRD: "node3"}.__getitem__)
    await house.ask(Action.OFF, "other", source=THIRD)
    assert all(" by='node3'" in line.getMessage() for line in caplog.records)
    (kept,) = await house.records.finished(Wanted())
    assert (kept.source, kept.by) == ("192.0.2.8", "node3")


@pytest.mark.parametrize("action", (Action.STATUS, Action.LIST, Action.MONITOR, Action.NULL))
async def test_a_question_leaves_no_line_but_for_who_debugs(
    house: House, action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await house.ask(action)
    assert caplog.records == []
    caplog.set_level(logging.DEBUG)
    await house.ask(action)
    assert len([line for line in caplog.records if line.name.startswith("fencebus")]) == 2


async def test_a_name_full_of_control_characters_stays_on_its_line(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await house.ask(Action.OFF, "a\nverdict ok=yes\x1b[2J")
    assert all("\n" not in line.getMessage() and "\x1b" not in line.getMessage() for line in caplog.records)


async def test_power_actions_stand_in_the_history_and_questions_do_not(house: House) -> None:
    await house.ask(Action.STATUS)
    await house.ask(Action.OFF, "other")
    failed = await house.ask(Action.OFF, "nobody")
    assert await house.records.history(most=1) == [(failed.outcome.request, "off", "nobody", "unknown-vm")]
    assert len(await house.records.history()) == 2


# -- the same request again (S7) ----------


async def test_s7_the_same_request_twice_at_once_kills_once_and_gets_one_outcome(house: House) -> None:
    house.hypervisor.faults(VM).exit_takes = 0.05
    asked = house.new(Action.OFF)
    again = dataclasses.replace(asked, id=RequestId("again"))
    first, second = await asyncio.gather(*(house.service.handle(each, always) for each in (asked, again)))
    assert first == second
    assert first.outcome.reason is Reason.PROVEN_OFF
    assert house.router.ended == [VM]


async def test_s7_the_same_request_while_the_first_looks_for_its_target_is_one_with_it(house: House) -> None:
    house.hypervisor.unreachable = True
    asked = house.new(Action.REBOOT)
    both = [asyncio.create_task(house.service.handle(asked, always)) for _ in range(2)]
    await asyncio.sleep(0.02)
    house.hypervisor.unreachable = False
    assert [(await each).outcome.reason for each in both] == [Reason.REBOOTED] * 2
    assert house.router.ended == [VM]


async def test_s7_the_same_request_afterwards_has_its_outcome_and_kills_nothing(house: House) -> None:
    asked = house.new(Action.REBOOT)
    first = await house.service.handle(asked, always)
    assert await house.service.handle(asked, always) == first
    assert house.router.ended == house.router.started == [VM]


async def test_s7_who_was_refused_is_refused_again(house: House) -> None:
    end = house.router.hold(Action.OFF, OTHER)
    shot = asyncio.create_task(house.ask(Action.OFF, OTHER, source=VM))
    await house.admitted(1)
    back = house.new(Action.OFF, VM, source=OTHER)
    assert (await house.service.handle(back, always)).outcome.reason is Reason.SOURCE_FENCED
    end.set()
    await shot
    assert (await house.service.handle(back, always)).outcome.reason is Reason.SOURCE_FENCED
    assert await house.state(VM) is VmState.RUNNING
