"""A fence whose owner has died, through the real machine: whose death is asked after, and what the answer does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from fencebus_host import verdict
from fencebus_host.effects import AskProof, Boot, Conclude, Effects, Keep, Look, Send
from fencebus_host.federation import proving
from fencebus_host.federation.coordinator import Matter
from fencebus_host.federation.machine import Federation
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.ownership import Ownership
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import (
    Action,
    FenceOutcome,
    FenceRequest,
    HostId,
    Incarnation,
    Observation,
    Proof,
    Reason,
    Sight,
    Source,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import EVERYONE, Announce, GuardAnswer, Inventory
from tests.host_agent.federation.words import ME, MINE, ONE, VM, counting

LOST = HostId("lost")
DIED = Incarnation("boot", "machine-lost", "1")
BACK = Incarnation("boot-2", "machine-lost", "2")
IS_OFF = Finding(Witness.FENCE_AGENT, Fate.OFF, "its fence agent says that lost is off")
UNKNOWN = Finding(Witness.FENCE_AGENT, Fate.UNKNOWN, "its fence agent does not answer")
RUNS_HERE = Observation(VM, VmState.RUNNING, ME, MINE, Proof.NONE, 101.0, was=VmState.OFF)
ASKED_AT = 100.0
DEADLINE = 125.0


@dataclass
class Site:
    """This host, on a clock that a test moves; the other had the VM and has died."""

    state: VmState = VmState.RUNNING
    heard_at: float = 50.0
    action: Action = Action.OFF
    mine: Sight = field(default_factory=lambda: Sight(VM, VmState.OFF))
    defined_here: bool = False
    claimed_there: bool = False
    """It is found there, too."""
    life: str = "mark"
    now: float = ASKED_AT
    questions: list[AskProof] = field(default_factory=list)
    outcome: FenceOutcome | None = None

    def __post_init__(self) -> None:
        self.ownership = Ownership(ME, MINE, frozenset((ME, LOST)))
        self.machine = Federation(ME, MINE, self.ownership, lambda _order: True, counting(), 0.0)
        self.told = VmRecord(VM, "vm7", self.state, LOST, DIED, life=self.life)
        self.machine.received(Inventory(LOST, DIED, ME, 1, "", (self.told,), (ME, LOST), ()), self.heard_at)
        clock = Deadline(DEADLINE, lambda: self.now)
        self.request = FenceRequest(ONE, self.action, VM, Source("operator"), "test", clock, ASKED_AT)
        here = replace(self.told, host=ME, incarnation=MINE, state=VmState.OFF, life="")
        found = ((here,) if self.defined_here else ()) + (
            (self.told,) if self.claimed_there or not self.defined_here else ()
        )
        matter = Matter(self.request, VM, "identity", None, found, lambda: None)
        submit = self.machine.submit_start if self.action is Action.ON else self.machine.submit_fence
        self.do(submit(matter, self.now))

    def do(self, effects: Effects) -> None:
        """This host's own looks are answered at once."""
        for effect in effects:
            if isinstance(effect, Look):
                self.do(self.machine.looked(effect.job, self.mine, self.now))
            elif isinstance(effect, AskProof):
                self.questions.append(effect)
            elif isinstance(effect, Boot):
                assert self.machine.permit(effect.job, None, self.now) is None
                self.do(self.machine.acted(effect.job, RUNS_HERE, self.now))
            elif isinstance(effect, Keep):
                self.do(self.machine.kept(effect.job, True, self.now))
            elif isinstance(effect, Conclude):
                decide = {Action.OFF: verdict.decide_off, Action.ON: verdict.decide_on, Action.REBOOT: self._rebooted}
                self.outcome = decide[self.action](self.request, effect.evidence)

    def _rebooted(self, request: FenceRequest, evidence: verdict.Evidence) -> FenceOutcome:
        assert not verdict.is_to_be_started(evidence)
        return verdict.decide_reboot(request, evidence, None)

    def wait(self, seconds: float) -> None:
        """The machine ticks."""
        end = self.now + seconds
        while self.now < end and self.outcome is None:
            self.now = min(self.now + 0.1, end)
            self.do(self.machine.tick(self.now))

    def answer(self, finding: Finding) -> None:
        """To the last question."""
        self.do(self.machine.proof_seen(self.questions[-1], finding, self.now))

    def answer_all(self, finding: Finding, seconds: float = 5.0) -> None:
        """Each question as it comes."""
        answered = 0
        end = self.now + seconds
        while self.outcome is None and self.now < end:
            while answered < len(self.questions):
                answered += 1
                self.answer(finding)
            self.wait(0.1)

    def ended(self) -> FenceOutcome:
        """The verdict, at the latest at the deadline."""
        self.wait(DEADLINE - self.now + 1.0)
        assert self.outcome is not None
        return self.outcome


def test_a_dead_hosts_vm_is_off_once_its_death_was_asked_after_in_both_rounds() -> None:
    site = Site()
    assert [(each.host, each.round, each.incarnation) for each in site.questions] == [(LOST, 1, DIED)]
    site.answer(IS_OFF)
    assert [each.round for each in site.questions] == [1, 2]
    assert site.outcome is None
    site.answer(IS_OFF)
    assert site.outcome is not None
    assert (site.outcome.ok, site.outcome.reason) == (True, Reason.PROVEN_OFF)
    assert site.outcome.text == IS_OFF.text
    (seen,) = site.outcome.observations
    assert (seen.host, seen.incarnation, seen.proof, seen.detail) == (LOST, DIED, Proof.HOST_FENCED, IS_OFF.text)


def test_a_host_that_is_not_silent_yet_is_asked_after_a_second_and_never_switched_off() -> None:
    site = Site(heard_at=99.0)
    assert site.questions == []
    site.wait(0.9)
    assert site.questions == []
    site.wait(0.3)
    assert [each.may_act for each in site.questions] == [False]


def test_only_a_silent_host_that_was_the_last_to_have_the_vm_may_be_switched_off() -> None:
    assert [each.may_act for each in Site().questions] == [True]
    assert [each.may_act for each in Site(state=VmState.OFF).questions] == [False]


def test_while_nobody_knows_the_question_is_put_again_and_in_the_end_the_text_says_why() -> None:
    site = Site()
    site.answer_all(UNKNOWN, 3.0)
    assert len(site.questions) >= 4
    outcome = site.ended()
    assert (outcome.ok, outcome.reason) == (False, Reason.HOST_SILENT)
    assert "vm7 was last on lost" in outcome.text
    assert UNKNOWN.text in outcome.text


def test_an_answer_that_was_cut_off_takes_nothing_from_the_one_before() -> None:
    site = Site()
    hurried = replace(UNKNOWN, text="it had no time", cut_off=True)
    site.answer(hurried)
    site.wait(0.6)
    site.answer(UNKNOWN)
    site.wait(0.6)
    site.answer(hurried)
    assert site.ended().text.endswith(f"({UNKNOWN.text})")
    alone = Site()
    alone.answer(hurried)
    assert alone.ended().text.endswith(f"({hurried.text})")


def test_one_question_at_a_time() -> None:
    site = Site()
    site.wait(3.0)
    assert len(site.questions) == 1


def test_what_answers_here_still_denies() -> None:
    site = Site(mine=Sight(VM, VmState.UNKNOWN))
    site.answer_all(IS_OFF)
    assert not site.ended().ok


def test_a_claim_here_is_not_outweighed_by_a_death_elsewhere() -> None:
    site = Site(mine=Sight(VM, VmState.SAVED))
    site.answer_all(IS_OFF)
    assert site.ended().reason is Reason.STILL_CLAIMED


def test_a_saved_vm_outlives_its_host() -> None:
    site = Site(state=VmState.SAVED)
    site.answer_all(IS_OFF)
    outcome = site.ended()
    assert not outcome.ok
    assert "saved, which outlives the host" in outcome.text


def test_a_sign_of_life_ends_the_proof_and_it_may_be_proven_anew() -> None:
    site = Site()
    site.answer(IS_OFF)
    site.wait(0.1)
    site.do(site.machine.received(Announce(LOST, DIED, EVERYONE, 1, "", "", "token"), site.now))
    site.answer(IS_OFF)  # was asked before it was heard
    assert site.outcome is None
    site.answer_all(IS_OFF)
    assert site.outcome is not None
    assert site.outcome.ok


def test_who_comes_back_speaks_for_itself() -> None:
    site = Site()
    site.answer(IS_OFF)
    site.wait(0.1)
    site.do(site.machine.received(Announce(LOST, BACK, EVERYONE, 1, "", "", "token"), site.now))
    claim = Sight(VM, VmState.RUNNING)
    site.do(site.machine.received(GuardAnswer(LOST, BACK, ME, ONE, 2, site.now, "t", "serial", claim), site.now))
    site.answer(IS_OFF)
    assert site.ended().reason is Reason.STILL_CLAIMED


def fenced(not_before: float) -> Finding:
    return Finding(Witness.PACEMAKER, Fate.FENCED, "pacemaker rebooted lost", not_before)


def test_a_reboot_counts_if_it_began_while_everybody_else_stood_on_guard() -> None:
    site = Site()
    site.wait(2.0)
    site.answer_all(fenced(101.0))
    assert site.outcome is not None
    assert site.outcome.ok


def test_a_past_reboot_proves_nothing_about_now() -> None:
    site = Site()
    site.answer_all(fenced(99.9), 3.0)
    outcome = site.ended()
    assert not outcome.ok
    assert "what it has done since is unknown" in outcome.text


def test_a_vm_that_had_migrated_to_the_dead_host_ended_there() -> None:
    left = Sight(VM, VmState.OFF, left=("mark",))
    site = Site(mine=left)
    site.answer_all(IS_OFF)
    assert site.outcome is not None
    assert site.outcome.ok
    other = Site(mine=replace(left, left=("another",)))
    other.answer_all(IS_OFF)
    assert not other.ended().ok


def test_a_reboot_of_a_vm_whose_host_is_dead_fences_it_and_starts_nothing() -> None:
    site = Site(action=Action.REBOOT)
    site.answer_all(IS_OFF)
    assert site.outcome is not None
    assert (site.outcome.ok, site.outcome.reason) == (True, Reason.REBOOTED_NOT_STARTED)
    assert IS_OFF.text in site.outcome.text


def test_a_host_that_was_never_read_may_have_had_anything() -> None:
    site = Site()
    site.ownership = Ownership(ME, MINE, frozenset((ME, LOST)))
    assert site.ownership.last_records(VM, LOST) is None
    assert site.ownership.incarnation_of(LOST) is None


def test_an_answer_that_comes_after_the_end_is_none() -> None:
    site = Site()
    site.answer(IS_OFF)
    site.answer(IS_OFF)
    assert site.machine.proof_seen(site.questions[0], IS_OFF, site.now) == []


def test_guards_still_go_out_to_the_silent_host() -> None:
    site = Site()
    effects = site.machine.tick(site.now + 0.6)
    assert any(isinstance(effect, Send) and effect.message.to == LOST for effect in effects)


def test_s15_a_vm_that_is_defined_here_is_started_once_the_silent_host_is_proven_dead() -> None:
    site = Site(state=VmState.OFF, action=Action.ON, defined_here=True)
    site.answer_all(UNKNOWN, 2.0)
    assert site.outcome is None
    site.answer_all(IS_OFF)
    assert site.outcome is not None
    assert (site.outcome.ok, site.outcome.reason) == (True, Reason.STARTED)


def test_s15_a_saved_copy_on_a_dead_host_forbids_the_start() -> None:
    site = Site(state=VmState.SAVED, action=Action.ON, defined_here=True)
    site.answer_all(IS_OFF)
    outcome = site.ended()
    assert (outcome.ok, outcome.reason) == (False, Reason.NOT_STARTED)


@pytest.mark.parametrize("state", (VmState.RUNNING, VmState.OFF))
def test_s15_nothing_is_started_on_a_dead_host_and_that_is_told_at_once_with_what_to_do(state: VmState) -> None:
    site = Site(state=state, action=Action.ON)
    site.answer_all(UNKNOWN, 2.0)
    assert site.outcome is None  # it may come back
    assert {each.may_act for each in site.questions} == {False}
    site.answer_all(IS_OFF, 1.0)
    assert site.outcome is not None
    assert (site.outcome.ok, site.outcome.reason) == (False, Reason.NOT_STARTED)
    dead = f"lost, where it would be started, is dead ({IS_OFF.text})"
    assert site.outcome.text == f"{dead}; no other host has it: define and start it on one by hand"


def test_s15_a_vm_of_a_dead_host_that_another_has_too_is_not_started_there_but_people_are_told() -> None:
    site = Site(action=Action.ON, defined_here=True, claimed_there=True)
    site.answer_all(IS_OFF, 1.0)
    assert site.outcome is not None
    assert (site.outcome.ok, site.outcome.reason) == (False, Reason.NOT_STARTED)
    assert site.outcome.text.endswith(f"; {ME} has it too: start it there by hand")


# -- when it is asked ----------


def doubting() -> proving.Proving:
    """Of a host that is not silent yet."""
    ownership = Ownership(ME, MINE, frozenset((ME, LOST)))
    ownership.token_heard(LOST, DIED, "token", 100.0)
    return proving.Proving(VM, ownership)


def asked(whose: proving.Proving, round_: int, now: float, finding: Finding = UNKNOWN) -> None:
    assert whose.due([LOST], round_, now) == [LOST]
    whose.asked(LOST)
    whose.seen(AskProof(ONE, LOST, DIED, round_, now, False, now + 1.0), finding, None, now)


def test_a_member_that_has_not_answered_for_a_second_is_asked_after_and_again_half_a_second_later() -> None:
    whose = doubting()
    assert whose.due([LOST], 1, 100.0) == []
    assert whose.due([LOST], 1, 100.9) == []
    asked(whose, 1, 101.1)
    assert whose.due([LOST], 1, 101.5) == []
    asked(whose, 1, 101.7)


def test_who_was_asked_after_in_one_round_is_asked_after_in_the_next_without_delay_and_nobody_else() -> None:
    whose = doubting()
    whose.due([LOST], 1, 100.0)
    assert whose.due([LOST], 2, 101.5) == []
    asked(whose, 2, 102.6)
    asked(whose, 3, 102.7)


def test_s13_the_worst_that_was_said_is_the_last_state_of_a_vm_on_a_dead_host() -> None:
    def last_state(*states: VmState, claim: VmState | None = None) -> VmState | None:
        ownership = Ownership(ME, MINE, frozenset((ME, LOST)))
        told = tuple(VmRecord(VM, "vm7", state, LOST, DIED, hypervisor=f"{n}") for n, state in enumerate(states))
        ownership.inventory_heard(Inventory(LOST, DIED, ME, 1, "", told, (ME, LOST), ()), 50.0)
        sight = Sight(VM, claim) if claim is not None else None
        return proving.Proving(VM, ownership).circumstances(LOST, sight, 100.0, None).last_state

    assert last_state() is VmState.OFF
    assert last_state(VmState.RUNNING) is VmState.RUNNING
    assert last_state(VmState.RUNNING, VmState.SAVED) is VmState.SAVED
    assert last_state(VmState.RUNNING, claim=VmState.SAVED) is VmState.SAVED
    assert last_state(VmState.UNKNOWN, VmState.SAVED) is VmState.UNKNOWN
