"""S13, clause by clause: when a proof that a host is dead stands for that host's denial."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import denial, host_death
from fencebus_host.denial import Inquiry, Word
from fencebus_host.federation.rounds import DEAD
from fencebus_host.host_death import CLAUSES, Circumstances, Clause, Deposition, Fate, Finding, Witness
from fencebus_schemas.model import HostId, Incarnation, Reason, Sight, Uuid, VmState

VM = Uuid("00000000-0000-4000-8000-000000000001")
LIVING, LOST = HostId("living"), HostId("lost")
DAEMON, LATER = Incarnation("boot", "machine", "1"), Incarnation("boot", "machine", "2")
TIMES = st.floats(0, 1000)

OFF = Finding(Witness.FENCE_AGENT, Fate.OFF, "its agent says that it is off")
FENCED = Finding(Witness.PACEMAKER, Fate.FENCED, "pacemaker rebooted it", not_before=30.0)
IS_OFF = Deposition(LOST, DAEMON, 20.0, OFF)
WAS_FENCED = Deposition(LOST, DAEMON, 20.0, FENCED)
AROUND = Circumstances(DAEMON, 5.0, VmState.RUNNING, requested_at=10.0, stood_at=25.0)

findings = st.builds(
    Finding,
    st.sampled_from(Witness),
    st.sampled_from(Fate),
    st.just("so it is"),
    st.none() | TIMES,
    st.none() | TIMES,
)
depositions = st.builds(
    Deposition,
    st.just(LOST),
    st.sampled_from((None, DAEMON, LATER)),
    TIMES,
    st.builds(
        Finding,
        st.sampled_from(Witness),
        st.sampled_from(Fate),
        st.just("so it is"),
        st.none() | TIMES,
        st.none() | TIMES,
    ),
)
circumstances = st.builds(
    Circumstances,
    st.sampled_from((None, DAEMON, LATER)),
    st.none() | TIMES,
    st.none() | st.sampled_from(VmState),
    TIMES,
    st.none() | TIMES,
)


def stands(deposition: Deposition, around: Circumstances) -> bool:
    return host_death.missing(deposition, around) is None


# -- each clause, as a property ----------


@given(depositions, circumstances)
def test_only_a_witness_plain_word_of_a_death_counts(deposition: Deposition, around: Circumstances) -> None:
    if stands(deposition, around):
        assert deposition.finding.fate in (Fate.OFF, Fate.FENCED)


@given(depositions, circumstances)
def test_a_proof_is_about_the_incarnation_that_was_last_heard(deposition: Deposition, around: Circumstances) -> None:
    if stands(deposition, around):
        assert deposition.incarnation is not None
        assert deposition.incarnation == around.known_as


@given(depositions, circumstances, TIMES)
def test_the_next_sign_of_life_ends_a_proof(deposition: Deposition, around: Circumstances, moment: float) -> None:
    heard = replace(around, heard_at=moment)
    if stands(deposition, heard):
        assert moment <= deposition.asked_at
        assert deposition.finding.done_after is None or moment <= deposition.finding.done_after


@given(depositions, circumstances)
def test_off_is_asked_after_the_request_and_a_fencing_begins_under_everybodys_guard(
    deposition: Deposition, around: Circumstances
) -> None:
    if stands(deposition, around):
        under_guard = around.stood_at is not None and (deposition.finding.not_before or 0.0) >= around.stood_at
        asked_since = deposition.asked_at >= around.requested_at
        assert asked_since if deposition.finding.fate is Fate.OFF else under_guard


@given(depositions, circumstances)
def test_what_outlives_a_host_is_not_proven_by_its_death(deposition: Deposition, around: Circumstances) -> None:
    if stands(deposition, around):
        assert around.last_state not in (None, VmState.SAVED, VmState.UNKNOWN)


# -- each clause is needed ----------

COUNTER_EXAMPLES: dict[Clause, tuple[Deposition, Circumstances]] = {
    host_death.s13_somebody_says_that_it_is_dead: (
        replace(IS_OFF, finding=replace(OFF, fate=Fate.ALIVE)),
        AROUND,
    ),
    host_death.s13_of_the_incarnation_that_died: (replace(IS_OFF, incarnation=LATER), AROUND),
    host_death.s13_nothing_heard_since: (IS_OFF, replace(AROUND, heard_at=21.0)),
    host_death.s13_asked_since_the_request: (WAS_FENCED, replace(AROUND, stood_at=31.0)),
    host_death.s13_last_state_there_was_plain: (IS_OFF, replace(AROUND, last_state=VmState.SAVED)),
}


def test_each_clause_has_its_counter_example() -> None:
    assert set(COUNTER_EXAMPLES) == set(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda it: it.__name__)
def test_a_counter_example_breaks_its_clause_and_no_other_but_what_nobody_says(clause: Clause) -> None:
    deposition, around = COUNTER_EXAMPLES[clause]
    objecting = [each for each in CLAUSES if each(deposition, around)]
    assert clause in objecting
    also = {host_death.s13_asked_since_the_request}  # who says "alive" says neither "off" nor "fenced"
    assert set(objecting) - {clause} <= also


@pytest.mark.parametrize("deposition", (IS_OFF, WAS_FENCED))
def test_a_proof_that_breaks_no_clause_stands(deposition: Deposition) -> None:
    assert stands(deposition, AROUND)
    assert stands(deposition, replace(AROUND, heard_at=None))


def test_a_past_reboot_proves_nothing_and_a_past_word_of_off_neither() -> None:
    assert not stands(replace(WAS_FENCED, finding=replace(FENCED, not_before=24.0)), AROUND)
    assert not stands(replace(WAS_FENCED, finding=replace(FENCED, not_before=None)), AROUND)
    assert not stands(WAS_FENCED, replace(AROUND, stood_at=None))
    assert not stands(replace(IS_OFF, asked_at=9.0), AROUND)


def test_the_text_says_what_is_missing() -> None:
    lack = host_death.missing(replace(IS_OFF, finding=replace(OFF, fate=Fate.ALIVE, text="it is up")), AROUND)
    assert lack is not None
    assert (lack.reason, lack.text) == (Reason.HOST_SILENT, "lost is not proven dead: it is up")
    never_read = host_death.missing(IS_OFF, replace(AROUND, last_state=None))
    assert never_read is not None
    assert "never told" in never_read.text


# -- it stands for one denial ----------


def said(deposition: Deposition) -> Word:
    return Word(LOST, DAEMON, DEAD, Sight(VM, VmState.OFF, ended=("life",)), deposition)


def inquiry(deposition: Deposition = IS_OFF, around: Circumstances = AROUND) -> Inquiry:
    own = Word(LIVING, DAEMON, "serial", Sight(VM, VmState.OFF))
    words = (own, said(deposition))
    history = tuple(word.sight for word in words)
    return Inquiry((LIVING, LOST), words, words, history=history, dead=((LOST, around),))


def test_with_a_proof_for_one_and_two_denials_of_all_others_nobody_has_it() -> None:
    assert denial.missing(inquiry()) is None


def test_every_other_member_still_denies_in_both_rounds() -> None:
    whole = inquiry()
    for silent in (replace(whole, first=whole.first[1:]), replace(whole, second=whole.second[1:])):
        lack = denial.missing(silent)
        assert lack is not None
        assert lack.text.startswith(LIVING)


def test_a_proof_of_one_host_stands_for_no_other() -> None:
    whole = inquiry()
    stolen = replace(whole.first[1], deposition=replace(IS_OFF, host=LIVING))
    lack = denial.missing(replace(whole, first=(whole.first[0], stolen)))
    assert lack is not None
    assert "another host's" in lack.text
    assert denial.missing(replace(whole, dead=())) is not None


def test_a_proof_in_one_round_alone_is_half_a_denial() -> None:
    whole = inquiry()
    lack = denial.missing(replace(whole, second=whole.second[:1]))
    assert lack is not None
    assert lack.text == "lost has not denied it a second time"


@given(depositions, circumstances)
def test_the_denial_hangs_on_every_clause(deposition: Deposition, around: Circumstances) -> None:
    assert (denial.missing(inquiry(deposition, around)) is None) == stands(deposition, around)


@pytest.mark.parametrize(
    ("deposition", "around"),
    (
        (IS_OFF, replace(AROUND, requested_at=20.0)),
        (IS_OFF, replace(AROUND, heard_at=20.0)),
        (WAS_FENCED, replace(AROUND, stood_at=30.0)),
    ),
)
def test_what_happens_at_the_same_instant_is_late_enough(deposition: Deposition, around: Circumstances) -> None:
    assert stands(deposition, around)
    assert not stands(deposition, replace(around, requested_at=20.1, heard_at=20.1, stood_at=30.1))


def test_a_finding_is_a_whole_answer_unless_it_says_otherwise() -> None:
    assert not OFF.cut_off
    assert replace(OFF, cut_off=True) != OFF
