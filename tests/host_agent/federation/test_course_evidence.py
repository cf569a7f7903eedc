"""What a course lays before the verdict, what it leaves out, and what it does no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import verdict
from fencebus_host.effects import AskProof, Effects
from fencebus_host.evidence import Evidence
from fencebus_host.federation import proving
from fencebus_host.federation.fence_course import GRACE
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.objection import Objection
from fencebus_schemas.model import Action, HostId, Life, Reason, Sight, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Change, Fence, Guard
from tests.host_agent.federation.courses import WIDE, A, B, Table, incarnation, killed
from tests.host_agent.federation.words import ONE, RUNNING, VM

IS_OFF = Finding(Witness.FENCE_AGENT, Fate.OFF, "its fence agent says that a is off")
SAVED = Sight(VM, VmState.SAVED)


class Inquest(Table):
    """A table that keeps what witnesses are asked."""

    def __init__(self, state: VmState = VmState.RUNNING) -> None:
        self.questions: list[AskProof] = []
        super().__init__(state=state)

    def do(self, effects: Effects) -> None:
        self.questions += [effect for effect in effects if isinstance(effect, AskProof)]
        super().do(effects)

    def all_but_one_deny(self, dead: HostId, seconds: float = 5.0) -> None:
        """The other member denies whatever it is asked; each question about the dead one is answered."""
        other = B if dead == A else A
        for _ in range(round(seconds * 10)):
            if self.over:
                return
            self.deny(other)
            while self.questions and not self.over:
                self.do(self.machine.proof_seen(self.questions.pop(0), IS_OFF, self.now))
            self.wait(0.1)


def objection_of(evidence: Evidence) -> Objection:
    assert evidence.objection is not None
    return evidence.objection


# -- claims ----------


def test_s3_a_copy_that_was_heard_of_and_left_before_its_host_answered_is_a_claim() -> None:
    table = Table()
    copy = VmRecord(VM, "vm7", VmState.RUNNING, B, incarnation(B), 2, life="copy")
    table.hear(Change(B, incarnation(B), EVERYONE, 2, "", copy))
    table.wait(0.1)
    table.sent(Fence)
    table.says(B, Sight(VM, VmState.OFF, left=("copy",)))
    table.fenced(A, killed())
    table.wait(GRACE + 0.5)
    assert not table.over
    nothing_there = replace(killed(B), was=VmState.OFF, ended=None)
    table.fenced(B, nothing_there)
    table.sent(Fence)
    table.wait(1.0)
    assert table.sent(Fence) == []  # who has said that it left has nothing to end
    table.deny(A)
    assert not table.over
    table.wait(WIDE)
    (evidence,) = table.evidence
    lack = verdict.decide_off(table.request, evidence)
    assert (lack.ok, lack.reason) == (False, Reason.STILL_CLAIMED)
    assert "nobody saw it end" in lack.text


def test_s3_what_was_known_when_the_request_came_counts_from_the_first_word_on() -> None:
    for life, over in (("other", True), ("copy", False)):
        table = Table(life=life)
        table.says(A, Sight(VM, VmState.OFF, left=("copy",)))
        table.says(B, RUNNING)
        table.fenced(A, replace(killed(A), was=VmState.OFF, ended=None))
        table.fenced(B, killed(B))
        assert table.over is over


def test_s3_a_copy_that_has_left_is_no_claim_any_more_once_it_was_seen_to_end() -> None:
    table = Table()
    copy = VmRecord(VM, "vm7", VmState.RUNNING, B, incarnation(B), 2, life="life")
    table.hear(Change(B, incarnation(B), EVERYONE, 2, "", copy))
    table.wait(0.1)
    table.says(B, Sight(VM, VmState.OFF, left=("life",)))
    table.fenced(A, killed())
    table.fenced(B, None, Reason.DEADLINE)
    table.deny(A)
    table.wait(GRACE + 0.5)
    assert verdict.decide_off(table.request, table.evidence[0]).ok


# -- orders ----------


def test_s16_nothing_is_ordered_any_more_once_the_source_is_fenced_and_that_is_the_reason() -> None:
    table = Table(state=VmState.OFF)
    table.says(B, RUNNING, refusal=Reason.SOURCE_FENCED)
    assert table.sent(Fence) == []
    assert objection_of(table.evidence[0]).reason is Reason.SOURCE_FENCED


def test_s12_nothing_is_ordered_once_the_deadline_has_passed() -> None:
    table = Table()
    table.sent(Fence)
    table.now += WIDE + 1.0
    table.do(table.machine.tick(table.now))
    assert table.over
    assert table.sent(Fence) == []


def test_s12_no_order_has_more_patience_than_is_left_of_the_request() -> None:
    table = Table()
    table.wait(WIDE - 0.7)
    table.sent(Fence)
    table.wait(0.6)
    left = [each.quote.patience for each in table.sent(Fence)]
    assert left
    assert max(left) < 0.65
    assert min(left) > 0.0


def test_s9_a_course_ends_at_the_very_instant_of_its_deadline() -> None:
    table = Table()
    table.now = table.request.deadline.at
    table.do(table.machine.tick(table.now))
    assert table.over


def test_an_answer_to_an_order_that_nobody_gave_proves_nothing() -> None:
    table = Table()
    table.fenced(B, killed(B))
    table.wait(GRACE + 0.5)
    assert not table.over


def test_s12_an_answer_that_comes_after_the_deadline_is_no_evidence() -> None:
    table = Table()
    table.deny(B)
    table.now += WIDE + 1.0
    table.fenced(A, killed())
    assert [each.observations for each in table.evidence] == [()]


def test_s3_the_grace_runs_from_the_first_plain_kill() -> None:
    table = Table()
    table.fenced(A, killed())
    table.wait(GRACE - 0.2)
    table.says(A, replace(RUNNING, life=Life("later")))
    table.fenced(A, killed(mark="later"))
    assert not table.over
    table.wait(0.3)
    assert table.over


def test_nobody_is_asked_any_more_once_the_evidence_is_laid_down() -> None:
    table = Table()
    table.deny(B)
    table.out.clear()
    table.fenced(A, killed())
    assert table.over
    assert table.sent(Guard) == []


# -- what is told in the end ----------


def test_a_refusal_that_was_overcome_is_no_objection_to_what_came_after_it() -> None:
    table = Table()
    table.fenced(A, None, Reason.HYPERVISOR_ERROR, "libvirt says no")
    table.deny(B)
    table.wait(0.6)
    table.fenced(A, killed())
    assert table.over
    assert verdict.decide_off(table.request, table.evidence[0]).ok


def test_a_refusal_is_not_told_where_something_was_seen() -> None:
    table = Table()
    table.fenced(A, None, Reason.HYPERVISOR_ERROR, "libvirt says no")
    table.wait(0.6)
    table.fenced(A, replace(killed(), ended=None, was=VmState.OFF))
    table.wait(WIDE)
    assert table.over
    assert table.evidence[0].objection is None


def test_s15_a_guard_of_another_request_is_told_at_the_deadline() -> None:
    table = Table(Action.ON, state=VmState.OFF)
    table.deny(A)
    table.says(B, None, refusal=Reason.NOT_STARTED)
    table.wait(WIDE + 0.2)
    told = objection_of(table.evidence[0])
    assert (told.reason, told.text) == (Reason.NOT_STARTED, "b has another request's guard on it")


def test_s12_an_answer_that_names_no_life_names_none_as_old() -> None:
    table = Table()
    table.says(B, None, is_old=True)
    table.says(A, Sight(VM, VmState.RUNNING), is_old=True)
    table.wait(0.6)
    assert {each.lives for each in table.sent(Fence)} == {()}


# -- deaths ----------


def test_s13_only_another_host_that_has_not_answered_is_asked_after_and_with_patience() -> None:
    table = Inquest(VmState.OFF)
    table.deny(A)
    table.wait(proving.UNANSWERED + 0.2)
    assert {each.host for each in table.questions} == {B}
    (question,) = table.questions
    assert question.until == pytest.approx(question.asked_at + proving.PATIENCE)


def test_s9_no_witness_has_longer_than_the_request() -> None:
    table = Inquest(VmState.OFF)
    table.wait(WIDE - 1.5)
    table.questions.clear()
    for host in (A, B):
        table.do(table.machine.proof_seen(AskProof(ONE, host, None, 1, table.now, False, 0.0), IS_OFF, table.now))
    table.wait(0.7)
    assert {each.until for each in table.questions} == {table.request.deadline.at}


def test_s13_a_host_is_dead_with_whatever_it_claimed() -> None:
    table = Inquest()
    table.says(A, RUNNING)
    table.all_but_one_deny(A)
    assert table.over
    assert verdict.decide_off(table.request, table.evidence[0]).ok


def test_s13_a_host_that_claimed_a_saved_life_in_this_course_takes_none_along() -> None:
    table = Inquest()
    table.says(A, SAVED)
    table.all_but_one_deny(A, WIDE + 1.0)
    assert table.over
    outcome = verdict.decide_off(table.request, table.evidence[0])
    assert not outcome.ok
    assert "saved" in outcome.text


def test_s13_the_claim_of_one_host_is_not_held_against_a_dead_other() -> None:
    table = Inquest()
    table.says(B, SAVED)
    table.wait(2.0)
    question = next(each for each in table.questions if each.host == A)
    table.do(table.machine.proof_seen(question, IS_OFF, table.now))
    course = next(iter(table.machine._courses.values()))
    assert course._circumstances(A).last_state is VmState.RUNNING
    assert course._circumstances(B).last_state is VmState.SAVED
