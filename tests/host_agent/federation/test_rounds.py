"""Two clean rounds, one right after the other, under unbroken guards."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.denial import Word
from fencebus_host.federation.rounds import DEAD, NEVER, UNSEEN_END, Rounds
from fencebus_host.host_death import Deposition, Fate, Finding, Witness
from fencebus_schemas.model import HostId, Life, Sight, VmRecord, VmState
from tests.host_agent.federation.words import MINE, OFF, RUNNING, VM, answer

A, B = HostId("a"), HostId("b")
BOTH = (A, B)


def after_one_clean_round() -> Rounds:
    rounds = Rounds()
    rounds.heard(answer(A, OFF), 1.0)
    assert not rounds.go_on(BOTH)
    rounds.heard(answer(B, OFF), 1.0)
    assert rounds.go_on(BOTH)
    return rounds


def test_the_second_round_begins_once_all_have_denied_in_the_first() -> None:
    rounds = after_one_clean_round()
    assert (rounds.number, len(rounds.first), rounds.second) == (2, 2, ())
    rounds.heard(answer(A, OFF, 2), 1.0)
    rounds.heard(answer(B, OFF, 2), 1.0)
    assert len(rounds.second) == 2
    assert not rounds.is_spoilt()
    assert not rounds.go_on(BOTH)


def test_a_word_of_the_first_round_is_none_in_the_second() -> None:
    rounds = after_one_clean_round()
    rounds.heard(answer(A, OFF, 1), 1.0)
    assert not rounds.answered(A)
    assert rounds.word(A) is None


def test_a_guard_with_another_serial_or_incarnation_spoils_the_second_round() -> None:
    for broken in (answer(A, OFF, 2, "other"), answer(A, OFF, 2, "s", MINE)):
        rounds = after_one_clean_round()
        rounds.heard(broken, 1.0)
        assert rounds.is_spoilt()


def test_a_denial_without_a_guard_is_none() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, OFF, 1, ""), 1.0)
    assert rounds.is_spoilt()
    assert not rounds.is_clean((A,))


def test_s3_a_claim_counts_in_whatever_round_until_its_host_denies_or_has_ended_it() -> None:
    rounds = after_one_clean_round()
    rounds.heard(answer(A, RUNNING, 1), 1.0)
    assert [word.host for word in rounds.claims()] == [A]
    rounds.heard(answer(A, OFF, 1), 1.0)
    assert rounds.claims()
    rounds.heard(answer(A, OFF, 2), 1.0)
    assert rounds.claims() == ()
    rounds.heard(answer(B, RUNNING, 2), 1.0)
    rounds.ended(B, RUNNING.life)
    assert rounds.claims() == ()


def test_s3_what_a_host_claimed_and_saw_leave_stays_a_claim_until_somebody_saw_that_life_end() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, RUNNING), 1.0)
    rounds.heard(answer(A, replace(OFF, left=("life",))), 1.0)
    assert [word.host for word in rounds.claims()] == [A]
    rounds.heard(answer(B, replace(OFF, ended=("life",)), 0), 1.0)
    assert rounds.claims() == ()


def test_s3_what_was_known_to_be_there_and_had_left_before_its_host_was_heard_is_a_claim_until_it_was_seen_to_end() -> (
    None
):
    rounds = Rounds()
    rounds.recorded(
        (VmRecord(VM, "vm1", VmState.RUNNING, A, MINE, life="life"), VmRecord(VM, "vm1", VmState.PAUSED, B, MINE))
    )
    rounds.heard(answer(B, replace(OFF, left=("life",))), 1.0)
    assert rounds.claims() == ()
    rounds.heard(answer(A, replace(OFF, left=("earlier", "life"))), 1.0)
    (claim,) = rounds.claims()
    assert (claim.host, claim.at, claim.sight.life, claim.sight.detail) == (A, NEVER, Life("life"), UNSEEN_END)
    assert not rounds.is_spoilt()
    rounds.heard(answer(A, replace(OFF, left=("earlier", "life"))), 2.0)
    assert rounds.claims() == (claim,)
    rounds.ended(B, Life("life"))
    assert rounds.claims() == ()


def test_s3_what_has_left_by_a_word_of_an_earlier_round_ends_where_it_went() -> None:
    rounds = Rounds()
    rounds.recorded((VmRecord(VM, "vm1", VmState.RUNNING, A, MINE, life="life"),))
    rounds.heard(answer(A, replace(OFF, left=("life",)), 0), 1.0)
    assert rounds.claims()
    rounds.ended(B, Life("life"))
    assert rounds.claims() == ()


def test_s3_who_was_known_to_have_it_and_denies_without_having_seen_it_leave_claims_nothing() -> None:
    rounds = Rounds()
    rounds.recorded((VmRecord(VM, "vm1", VmState.RUNNING, A, MINE, life="life"),))
    rounds.heard(answer(A, replace(OFF, left=("earlier",))), 1.0)
    assert rounds.claims() == ()
    rounds.heard(answer(A, RUNNING), 2.0)
    rounds.heard(answer(A, replace(OFF, left=("life",))), 3.0)
    assert [word.at for word in rounds.claims()] == [2.0]


def test_s3_a_denial_that_was_asked_for_before_a_claim_came_does_not_take_it_back() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, RUNNING), 5.0)
    for denial in (OFF, replace(OFF, left=("life",))):
        rounds.heard(replace(answer(A, denial), stamp=4.9), 5.1)
        rounds.heard(answer(B, replace(OFF, ended=("life",))), 5.1)
        assert [word.host for word in rounds.claims()] == [A]
    rounds.heard(replace(answer(A, OFF), stamp=5.0), 5.2)
    assert rounds.claims() == ()


def test_s3_the_end_of_another_life_ends_no_claim_nor_does_an_end_elsewhere_while_its_host_has_it() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, RUNNING), 1.0)
    rounds.ended(A, Life("another"))
    rounds.ended(A, None)
    assert rounds.claims()
    rounds.ended(B, RUNNING.life)
    rounds.heard(answer(A, replace(RUNNING, ended=("life",))), 2.0)
    assert [word.host for word in rounds.claims()] == [A]
    rounds.heard(answer(A, replace(OFF, left=("life",))), 3.0)
    assert rounds.claims() == ()
    rounds.heard(answer(A, RUNNING), 4.0)
    assert [word.host for word in rounds.claims()] == [A]


def test_s3_a_claim_of_a_life_that_is_not_told_ends_with_whatever_its_host_ended() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, Sight(VM, VmState.RUNNING)), 1.0)
    rounds.ended(B, RUNNING.life)
    assert rounds.claims()
    rounds.ended(A, RUNNING.life)
    assert rounds.claims() == ()


def test_a_saved_life_is_a_claim() -> None:
    rounds = Rounds()
    rounds.heard(answer(A, Sight(VM, VmState.SAVED)), 1.0)
    assert rounds.claims()
    assert rounds.is_spoilt()


def test_beginning_again_takes_every_denial_away_and_no_claim() -> None:
    rounds = after_one_clean_round()
    rounds.heard(answer(A, RUNNING, 2), 1.0)
    rounds.begin_again()
    assert (rounds.number, rounds.first, rounds.second) == (3, (), ())
    assert rounds.claims()
    assert {sight.state for sight in rounds.history} == {VmState.OFF, VmState.RUNNING}


def test_an_answer_that_saw_nothing_says_nothing() -> None:
    rounds = Rounds()
    empty = answer(A, OFF)
    object.__setattr__(empty, "sight", None)
    rounds.heard(empty, 1.0)
    assert rounds.heard_from == set()


def test_s13_all_stand_on_guard_since_the_last_of_them_denied_under_the_guard_that_he_has() -> None:
    rounds = Rounds()
    assert rounds.stood_at(BOTH) is None
    rounds.heard(answer(A, OFF), 1.0)
    assert rounds.stood_at(BOTH) is None
    rounds.heard(answer(B, OFF), 2.0)
    rounds.heard(answer(A, OFF), 3.0)
    assert rounds.stood_at(BOTH) == 2.0
    rounds.heard(answer(A, OFF, 1, "another guard"), 4.0)
    assert rounds.stood_at(BOTH) == 4.0
    rounds.heard(answer(A, RUNNING, 1, "a third one"), 5.0)
    assert rounds.stood_at(BOTH) is None
    rounds.begin_again()
    assert rounds.stood_at((B,)) is None
    assert rounds.stood_at(()) == 0.0


def test_s13_a_proof_stands_on_guard_from_the_moment_at_which_it_came_and_is_the_last_word_of_its_round_alone() -> None:
    finding = Finding(Witness.FENCE_AGENT, Fate.OFF, "it is off")
    proof = Word(A, MINE, DEAD, OFF, Deposition(A, MINE, 1.0, finding))
    rounds = Rounds()
    rounds.proven_dead(proof, 0, 4.0)
    assert not rounds.is_last(proof)
    rounds.proven_dead(proof, 1, 5.0)
    assert rounds.is_last(proof)
    assert rounds.stood_at((A,)) == 5.0
    rounds.proven_dead(replace(proof), 1, 6.0)
    assert not rounds.is_last(proof)
    assert rounds.stood_at((A,)) == 5.0
    assert rounds.go_on((A,))
    assert len(rounds.dead()) == 1
    assert not rounds.is_last(rounds.dead()[0])
