"""Since when a host is silent, which token it takes, and whether it is one machine."""

from __future__ import annotations

from fencebus_host.acquaintance import Acquaintance
from fencebus_schemas.model import Incarnation
from tests.host_agent.federated_words import A, B, incarnation

HERE = incarnation(A)
THERE = incarnation(B)
TWIN = incarnation(B, machine="another")


def acquaintance() -> Acquaintance:
    return Acquaintance(A, HERE)


def quoted(*heard: tuple[Incarnation, str]) -> tuple[str, Incarnation | None]:
    others = acquaintance()
    for when, (who, token) in enumerate(heard):
        others.heard(B, who, token, float(when))
    return others.quote(B)


def test_a_host_is_as_silent_as_it_was_not_heard() -> None:
    others = acquaintance()
    assert (others.ago(B, 5.0), others.ago(A, 5.0)) == (None, 0.0)
    others.heard(B, THERE, "", 6.0)
    assert (others.ago(B, 8.5), others.ago(B, 5.0)) == (2.5, 0.0)


def test_the_latest_token_is_quoted_and_a_word_without_one_takes_none_away() -> None:
    assert quoted() == ("", None)
    assert quoted((THERE, "1"), (THERE, "2"), (THERE, "")) == ("2", THERE)


def test_a_new_incarnation_has_none_of_the_old_ones_tokens() -> None:
    again = incarnation(B, 2)
    assert quoted((THERE, "1"), (again, "")) == ("", again)
    assert quoted((THERE, "1"), (again, "2")) == ("2", again)


def test_two_machines_under_one_name_are_a_conflict_for_a_minute() -> None:
    others = acquaintance()
    others.heard(B, THERE, "", 0.0)
    others.heard(B, TWIN, "", 50.0)
    assert others.conflicts(60.0) == {B}
    assert others.conflicts(60.1) == frozenset()
    others.heard(B, THERE, "", 70.0)
    assert others.conflicts(100.0) == {B}


def test_a_restarted_daemon_is_no_twin() -> None:
    others = acquaintance()
    assert not others.is_twin(B, 0.0)
    others.heard(B, THERE, "", 0.0)
    others.heard(B, incarnation(B, 2), "", 1.0)
    assert not others.is_twin(B, 1.0)
    assert others.conflicts(1.0) == frozenset()


def test_another_machine_under_our_own_name_is_a_conflict_and_its_token_is_not_ours() -> None:
    others = acquaintance()
    others.heard(A, HERE, "mine", 0.0)
    assert others.conflicts(0.0) == frozenset()
    others.heard(A, incarnation(A, machine="another"), "its", 1.0)
    assert others.conflicts(60.0) == {A}
    assert others.quote(A) == ("mine", HERE)
    assert others.conflicts(61.5) == frozenset()


def test_what_our_former_daemon_said_is_neither_a_conflict_nor_a_token() -> None:
    others = acquaintance()
    others.heard(A, incarnation(A, 0), "old", 1.0)
    assert others.conflicts(1.0) == frozenset()
    assert others.quote(A) == ("", HERE)


def test_an_unanswered_request_for_an_inventory_is_repeated_after_a_second() -> None:
    others = acquaintance()
    assert [others.may_ask(B, now) for now in (0.0, 0.9, 1.0, 1.5, 2.0)] == [True, False, True, False, True]
    others.answered(B)
    assert others.may_ask(B, 2.1)
