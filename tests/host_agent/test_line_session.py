"""Whose turn it is on a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.line_session import ANSWERED_SECONDS, LineTurns, Turn
from fencebus_schemas.model import Action
from fencebus_schemas.serialline import SerialRequest
from fencebus_schemas.xvm import ACTION_OFF, ACTION_STATUS

OFF = SerialRequest(ACTION_OFF, "vm1", 1)


def test_a_request_has_its_turn_until_it_is_answered() -> None:
    turns = LineTurns()
    turn = turns.take(OFF, 0.0)
    assert turn is not None
    assert turn.current
    assert turn.action is Action.OFF
    turns.end(turn)
    assert not turn.current


def test_a_newer_request_takes_the_turn_away() -> None:
    turns = LineTurns()
    older, newer = turns.take(OFF, 0.0), turns.take(SerialRequest(ACTION_STATUS, "vm1", 2), 0.0)
    assert older is not None
    assert newer is not None
    assert (older.current, newer.current) == (False, True)


def test_the_same_request_joins_the_one_in_hand_however_its_target_is_spelled() -> None:
    turns = LineTurns()
    turn = turns.take(OFF, 0.0)
    assert turns.take(SerialRequest(ACTION_OFF, "VM1", 1), 0.0) is None
    assert turn is not None
    assert turn.current


def test_a_request_that_met_its_reply_on_the_way_gets_no_second_one() -> None:
    turns = LineTurns()
    turn = turns.take(OFF, 0.0)
    assert turn is not None
    turns.answered(turn, 3.0)
    turns.end(turn)
    assert turns.take(OFF, 3.0 + ANSWERED_SECONDS / 2) is None
    assert turns.take(SerialRequest(ACTION_OFF, "vm1", 2), 3.0) is not None


def test_a_request_whose_reply_was_lost_is_taken_again() -> None:
    turns = LineTurns()
    turn = turns.take(OFF, 0.0)
    assert turn is not None
    turns.answered(turn, 3.0)
    turns.end(turn)
    assert turns.take(OFF, 3.0 + ANSWERED_SECONDS) is not None


def test_a_request_that_ended_without_a_reply_is_taken_again() -> None:
    turns = LineTurns()
    turn = turns.take(OFF, 0.0)
    assert turn is not None
    turns.end(turn)
    assert turns.take(OFF, 0.0) is not None


def test_the_end_of_an_older_request_takes_nothing_from_the_newer_one() -> None:
    turns = LineTurns()
    older, newer = turns.take(OFF, 0.0), turns.take(SerialRequest(ACTION_OFF, "vm2", 2), 0.0)
    assert older is not None
    assert newer is not None
    turns.end(older)
    assert newer.current
    assert turns.take(SerialRequest(ACTION_OFF, "vm2", 2), 0.0) is None


def test_whoever_hangs_up_wants_nothing_any_more() -> None:
    turns = LineTurns()
    turns.hang_up()
    turn = turns.take(OFF, 0.0)
    turns.hang_up()
    assert turn is not None
    assert not turn.current


@given(st.lists(st.one_of(st.integers(0, 3), st.just("end"), st.just("hang up"))))
def test_never_more_than_one_request_has_the_turn(steps: list[int | str]) -> None:
    turns, taken = LineTurns(), list[Turn]()
    for step in steps:
        if isinstance(step, int):
            turn = turns.take(SerialRequest(ACTION_OFF, f"vm{step}", step), 0.0)
            taken += [turn] if turn else []
        elif step == "hang up":
            turns.hang_up()
        elif taken:
            turns.end(taken[-1])
        assert sum(turn.current for turn in taken) <= 1
