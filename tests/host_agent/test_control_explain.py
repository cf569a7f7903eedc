"""Evidence comes back from the disk as it was, and the rules say of it what they said when they decided."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host import denial, records, verdict
from fencebus_host.control_course import Course, KeptEvidence, course_of, evidence_of, request_of
from fencebus_host.control_explain import NOTHING_KEPT, explain, replay
from fencebus_host.control_history import NoHistory, Wanted, read_file
from fencebus_host.control_written import explain_written
from fencebus_host.denial import Inquiry, Word
from fencebus_host.evidence import Evidence
from fencebus_host.objection import Objection
from fencebus_schemas.model import Action, FenceRequest, HostId, Proof, Reason, Sight, VmState
from fencebus_schemas.status import FinishedFence
from fencebus_schemas.status_plain import from_plain, to_plain
from tests.host_agent.evidence import HERE, INCARNATION, VM, ended, killed, record, request, started, was_off
from tests.host_agent.federated_site import described, site
from tests.host_agent.house import House, memory_hypervisor, opened


def again(course: Course) -> Course:
    """As it comes back from the disk."""
    return from_plain(Course, json.loads(json.dumps(to_plain(course))))


def finished(ok: bool, reason: Reason, action: Action = Action.OFF) -> FinishedFence:
    return FinishedFence("id", 1.0, action.name.lower(), VM, "s", "tcp", ok, reason.value, "", 1.0)


def test_everything_that_evidence_holds_is_kept_save_the_request_itself() -> None:
    held = {field.name for field in dataclasses.fields(Evidence)}
    assert {field.name for field in dataclasses.fields(KeptEvidence)} == held - {"request"} | {"asked_for"}


EVIDENCE = st.builds(
    Evidence,
    records=st.lists(st.sampled_from([record(), record(VmState.OFF, hypervisor="b")]), max_size=2).map(tuple),
    observations=st.lists(
        st.sampled_from(
            [ended(), was_off(), started(), replace(ended(), proof=Proof.NONE), replace(ended(), seen_at=1.0)]
        ),
        max_size=2,
    ).map(tuple),
    silent=st.sampled_from([(), ("c",)]),
    objection=st.sampled_from([None, Objection(Reason.DEADLINE, "late")]),
    inquiry=st.none(),
)


@given(st.sampled_from([Action.OFF, Action.REBOOT, Action.ON]), EVIDENCE, st.none() | EVIDENCE)
def test_the_verdict_on_what_was_kept_is_the_verdict_that_was_given(
    action: Action, end: Evidence, start: Evidence | None
) -> None:
    asked = request(action)
    given = {
        Action.OFF: lambda: verdict.decide_off(asked, end),
        Action.REBOOT: lambda: verdict.decide_reboot(asked, end, start),
        Action.ON: lambda: verdict.decide_on(asked, end),
    }[action]()
    course = again(course_of(asked, end, start))
    assert replay(course) == given
    told = explain(replace(finished(given.ok, given.reason, action), id=asked.id), course)
    assert told.agrees
    assert bool(told.missing) != given.ok


def test_the_rule_that_objected_first_decided_and_all_that_object_say_what_was_missing() -> None:
    evidence = replace(killed(2), observations=(replace(ended(hypervisor="a"), proof=Proof.NONE, detail="it hangs"),))
    told = explain(finished(False, Reason.NOT_PROVEN), again(course_of(request(), evidence, None)))
    assert told.decided_by == "s4_off_is_proven"
    assert told.missing == (
        "it hangs",
        "b had vm (running) and has not confirmed its end",
    )
    assert [rule.rule for rule in told.rules] == [rule.__name__ for rule in verdict.OFF_RULES]
    assert told.rules[0].says == "What was refused directly before the act was not done."
    assert [claim.hypervisor for claim in told.claims] == ["a", "b"]


def test_a_reboots_start_has_its_rules_too() -> None:
    start = replace(killed(), observations=(started(),))
    told = explain(finished(True, Reason.REBOOTED), again(course_of(request(Action.REBOOT), killed(), start)))
    assert told.agrees
    assert len(told.rules) == len(verdict.OFF_RULES) + len(verdict.ON_RULES)


def test_what_was_refused_at_the_door_is_explained_by_the_rules_of_the_door() -> None:
    asked = request()
    course = again(course_of(asked, Evidence((record(), record(uuid=VM))), None, at_the_door=True))
    assert not explain(finished(False, Reason.UNKNOWN_VM), course).agrees
    told = explain(finished(False, Reason.UNKNOWN_VM), again(course_of(asked, Evidence(()), None, at_the_door=True)))
    assert (told.decided_by, told.agrees) == ("target_is_known", True)


def word(host: str, serial: str = "1", state: VmState = VmState.OFF) -> Word:
    return Word(HostId(host), INCARNATION, serial, Sight(VM, state))


def inquiry() -> Inquiry:
    return Inquiry((HERE, HostId("b")), (word("here"),), (word("here"),), silent=("b is silent",), configured=True)


def test_of_many_hosts_each_rule_about_their_words_is_told() -> None:
    asked = request()
    evidence = Evidence((record(),), (), request=asked, inquiry=inquiry())
    course = again(course_of(asked, evidence, None))
    assert evidence_of(course, course.end).inquiry == inquiry()
    told = explain(finished(False, Reason.HOST_SILENT), course)
    assert told.agrees
    assert told.decided_by == "s2_killed_plainly_or_nobody_has_it"
    names = [rule.rule for rule in told.rules]
    assert names[-len(denial.RULES) :] == [rule.__name__ for rule in denial.RULES]
    assert "b has not denied it" in told.missing


def test_a_plain_kill_needs_nobody_elses_word() -> None:
    asked = request()
    evidence = replace(killed(), request=asked, inquiry=inquiry())
    told = explain(finished(True, Reason.PROVEN_OFF), again(course_of(asked, evidence, None)))
    assert told.agrees
    assert "s2_every_member_answers" not in {rule.rule for rule in told.rules}


def test_evidence_that_was_brought_for_another_request_stays_that() -> None:
    evidence = replace(killed(), request=request(), inquiry=inquiry())
    course = again(course_of(request(), evidence, None))
    assert replay(course).reason is Reason.STALE_OBSERVATION
    assert request_of(course).deadline.expired


def test_without_evidence_there_is_only_the_reason() -> None:
    told = explain(finished(False, Reason.DENIED), None)
    assert (told.missing, told.note, told.rules) == (("denied",), NOTHING_KEPT, ())
    assert explain(finished(True, Reason.PROVEN_OFF), None).missing == ()


# -- through the daemon's parts and the disk ----------


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON))
async def test_each_fence_of_a_host_is_explained_as_it_was_answered(tmp_path: Path, action: Action) -> None:
    async with opened(tmp_path) as house:
        answer = await house.ask(action)
        (fence,) = await house.records.finished(Wanted())
        course = await house.records.course(fence.id)
    assert (fence.reason, course is not None) == (answer.outcome.reason.value, True)
    assert explain(fence, course).agrees


async def test_one_that_joined_another_has_the_evidence_of_that(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        held = house.router.hold(Action.OFF)
        asked = [house.new(Action.OFF), house.new(Action.OFF)]
        answers = [asyncio.ensure_future(house.service.handle(each, lambda: True)) for each in asked]
        await house.admitted(2)
        held.set()
        await asyncio.gather(*answers)
        for each in await house.records.finished(Wanted()):
            assert explain(each, await house.records.course(each.id)).agrees


async def test_history_is_chosen_by_request_vm_time_and_failure(tmp_path: Path) -> None:
    async with opened(tmp_path, memory_hypervisor(MemoryVm(VM, "vm"))) as house:
        first = (await house.ask(Action.OFF, "vm")).outcome.request
        second = (await house.ask(Action.OFF, "nobody")).outcome.request
        assert await ids(house, Wanted()) == [second, first]
        assert await ids(house, Wanted(request=first)) == [first]
        assert await ids(house, Wanted(vm=VM.upper())) == await ids(house, Wanted(vm="vm")) == [first]
        assert await ids(house, Wanted(failed=True)) == [second]
        assert await ids(house, Wanted(since=4e9)) == []
        assert await ids(house, Wanted(most=1)) == [second]
    assert [fence.id for fence in read_file(tmp_path, Wanted())] == [second, first]
    assert explain_written(tmp_path, "nobody").decided_by == "target_is_known"
    with pytest.raises(NoHistory, match="0 power actions fit"):
        explain_written(tmp_path, "somebody")
    with pytest.raises(NoHistory, match="cannot be read"):
        read_file(tmp_path / "none", Wanted())
    with pytest.raises(NoHistory):
        explain_written(tmp_path / "none", "vm")


async def ids(house: House, wanted: Wanted) -> list[str]:
    return [fence.id for fence in await house.records.finished(wanted)]


async def test_a_fence_across_hosts_comes_back_from_the_disk_whole() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        seen: list[tuple[Course, Evidence]] = []

        def saw(request: FenceRequest, end: Evidence, start: Evidence | None, at_the_door: bool) -> None:
            seen.append((course_of(request, end, start, at_the_door), end))

        hosts["a"].service._fencing._witness = saw
        answer = await hosts["a"].ask(Action.OFF, "vm2")
        assert answer.outcome.ok
        await hosts["b"].stop()
        lost = await hosts["a"].ask(Action.OFF, "vm2", seconds=2.0)
    assert not lost.outcome.ok
    for (course, end), outcome in zip(seen, (answer.outcome, lost.outcome), strict=True):
        assert end.inquiry is not None
        assert again(course) == course
        assert (replay(again(course)).ok, replay(again(course)).reason) == (outcome.ok, outcome.reason)


async def test_evidence_that_cannot_be_told_is_a_line_in_the_log_and_no_fence_fails_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_course: object) -> object:
        raise TypeError("no plain form")

    async with opened(tmp_path) as house:
        monkeypatch.setattr(records, "to_plain", broken)
        assert (await house.ask(Action.OFF)).outcome.ok
        assert await house.records.finished(Wanted()) == ()
        assert "history not written by a defect" in caplog.text
        monkeypatch.undo()
        await house.ask(Action.ON)
        assert len(await house.records.finished(Wanted())) == 1
