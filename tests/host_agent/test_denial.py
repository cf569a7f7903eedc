"""What keeps the members' words from meaning "nobody has it"."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import denial
from fencebus_host.denial import Inquiry, Word
from fencebus_host.host_death import Circumstances, Deposition, Fate, Finding, Witness
from fencebus_schemas.model import LEFT_UNMARKED, HostId, Incarnation, Life, Reason, Sight, Uuid, VmState

VM = Uuid("00000000-0000-4000-8000-000000000001")
A, B = HostId("a"), HostId("b")
DAEMON = Incarnation("boot", "machine", "1")
OFF = Sight(VM, VmState.OFF, ended=("life",))


def word(host: HostId, sight: Sight = OFF, serial: str = "s", incarnation: Incarnation = DAEMON) -> Word:
    return Word(host, incarnation, serial, sight)


CLEAN = Inquiry((A, B), (word(A), word(B)), (word(A), word(B)), history=(OFF,))
RUNNING = Sight(VM, VmState.RUNNING, life=Life("x"), detail="seen")


def test_two_rounds_of_all_members_under_unbroken_guards_are_enough() -> None:
    assert denial.missing(CLEAN) is None


@pytest.mark.parametrize(
    ("inquiry", "reason"),
    (
        (replace(CLEAN, claims=(word(A, RUNNING),)), Reason.STILL_CLAIMED),
        (replace(CLEAN, claims=(word(A, replace(RUNNING, detail="")),)), Reason.STILL_CLAIMED),
        (replace(CLEAN, synced=False), Reason.NOT_SYNCED),
        (replace(CLEAN, conflicts=(B,)), Reason.CONFLICT),
        (replace(CLEAN, silent=("b has been silent",)), Reason.HOST_SILENT),
        (replace(CLEAN, history=(replace(OFF, known=False),)), Reason.UNKNOWN_VM),
        (replace(CLEAN, history=(OFF, replace(OFF, left=("other",)))), Reason.NOT_PROVEN),
        (replace(CLEAN, history=(OFF, replace(OFF, left=(LEFT_UNMARKED,)))), Reason.NOT_PROVEN),
        (replace(CLEAN, history=(replace(OFF, ended=()),)), Reason.NOT_PROVEN),
        (replace(CLEAN, first=(word(A),)), Reason.NOT_PROVEN),
        (replace(CLEAN, second=(word(A),)), Reason.NOT_PROVEN),
        (replace(CLEAN, second=(word(A), word(B, serial="t"))), Reason.NOT_PROVEN),
        (replace(CLEAN, second=(word(A), word(B, incarnation=replace(DAEMON, nonce="2")))), Reason.NOT_PROVEN),
        (replace(CLEAN, second=(word(A), word(B, serial=""))), Reason.NOT_PROVEN),
    ),
)
def test_each_clause_is_missed_where_it_does_not_hold(inquiry: Inquiry, reason: Reason) -> None:
    lack = denial.missing(inquiry)
    assert lack is not None
    assert lack.reason is reason


def test_a_configured_list_of_hosts_needs_nobody_who_saw_the_end_and_no_exchange() -> None:
    unseen = replace(CLEAN, history=(replace(OFF, ended=()),), configured=True, synced=False)
    assert denial.missing(unseen) is None


def test_a_life_that_left_and_was_seen_to_end_elsewhere_is_ended() -> None:
    assert denial.missing(replace(CLEAN, history=(replace(OFF, ended=(), left=("life",)), OFF))) is None


def test_a_twin_that_is_no_member_matters_to_nobody() -> None:
    assert denial.missing(replace(CLEAN, conflicts=(HostId("stranger"),))) is None


@given(st.sampled_from(VmState), st.booleans())
def test_s2_only_an_off_that_is_not_in_flight_denies(state: VmState, in_flight: bool) -> None:
    sight = Sight(VM, state, in_flight=in_flight)
    lack = denial.s2_every_member_denies_again(replace(CLEAN, second=(word(A), word(B, sight))))
    assert (lack is None) == (state is VmState.OFF and not in_flight)


def test_what_a_claimant_says_of_it_is_told_and_nothing_if_it_says_nothing() -> None:
    told = denial.s3_no_other_claim(replace(CLEAN, claims=(word(A, RUNNING),)))
    plain = denial.s3_no_other_claim(replace(CLEAN, claims=(word(A, replace(RUNNING, detail="")),)))
    assert told is not None
    assert plain is not None
    assert told.text == plain.text + ": seen"
    assert plain.text.endswith("has not confirmed its end")


def test_the_first_of_several_twins_is_named() -> None:
    lack = denial.s2_names_are_unique(replace(CLEAN, conflicts=(A, B)))
    assert lack is not None
    assert "themselves a:" in lack.text


DEPOSITION = Deposition(B, DAEMON, 20.0, Finding(Witness.FENCE_AGENT, Fate.OFF, "its agent says that it is off"))
DEAD_B = (B, Circumstances(DAEMON, 5.0, VmState.RUNNING, requested_at=10.0, stood_at=None))


@pytest.mark.parametrize(
    ("deposition", "dead", "stands"),
    (
        (DEPOSITION, (DEAD_B,), True),
        (replace(DEPOSITION, host=A), (DEAD_B,), False),
        (DEPOSITION, (), False),
        (replace(DEPOSITION, asked_at=9.0), (DEAD_B,), False),
    ),
)
def test_s13_a_proof_stands_for_its_own_host_as_long_as_its_clauses_hold(
    deposition: Deposition, dead: tuple[tuple[HostId, Circumstances], ...], stands: bool
) -> None:
    proven = (word(A), replace(word(B), deposition=deposition))
    for inquiry in (replace(CLEAN, first=proven, dead=dead), replace(CLEAN, second=proven, dead=dead)):
        assert (denial.s13_proofs_stand(inquiry) is None) is stands
