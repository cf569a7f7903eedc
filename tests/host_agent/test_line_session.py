"""Whose turn it is on a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.line_session import LineTurns, Turn
from fencebus_schemas.model import Action
from fencebus_schemas.serialline import SerialRequest
from fencebus_schemas.xvm import ACTION_OFF, ACTION_STATUS

OFF = SerialRequest(ACTION_OFF, "vm1", 1)


def test_a_request_has_its_turn_until_it_is_answered() -> None:
    turns = LineTurns()
    turn = turns.take(OFF)
    assert turn is not None
    assert turn.current
    assert turn.action is Action.OFF
    turns.end(turn)
    assert not turn.current


def test_a_newer_request_takes_the_turn_away() -> None:
    turns = LineTurns()
    older, newer = turns.take(OFF), turns.take(SerialRequest(ACTION_STATUS, "vm1", 2))
    assert older is not None
    assert newer is not None
    assert (older.current, newer.current) == (False, True)


def test_the_same_request_joins_the_one_in_hand_however_its_target_is_spelled() -> None:
    turns = LineTurns()
    turn = turns.take(OFF)
    assert turns.take(SerialRequest(ACTION_OFF, "VM1", 1)) is None
    assert turn is not None
    assert turn.current


def test_the_same_request_after_its_answer_is_a_new_one() -> None:
    turns = LineTurns()
    turn = turns.take(OFF)
    assert turn is not None
    turns.end(turn)
    assert turns.take(OFF) is not None


def test_the_end_of_an_older_request_takes_nothing_from_the_newer_one() -> None:
    turns = LineTurns()
    older, newer = turns.take(OFF), turns.take(SerialRequest(ACTION_OFF, "vm2", 2))
    assert older is not None
    assert newer is not None
    turns.end(older)
    assert newer.current
    assert turns.take(SerialRequest(ACTION_OFF, "vm2", 2)) is None


def test_whoever_hangs_up_wants_nothing_any_more() -> None:
    turns = LineTurns()
    turns.hang_up()
    turn = turns.take(OFF)
    turns.hang_up()
    assert turn is not None
    assert not turn.current


@given(st.lists(st.one_of(st.integers(0, 3), st.just("end"), st.just("hang up"))))
def test_never_more_than_one_request_has_the_turn(steps: list[int | str]) -> None:
    turns, taken = LineTurns(), list[Turn]()
    for step in steps:
        if isinstance(step, int):
            turn = turns.take(SerialRequest(ACTION_OFF, f"vm{step}", step))
            taken += [turn] if turn else []
        elif step == "hang up":
            turns.hang_up()
        elif taken:
            turns.end(taken[-1])
        assert sum(turn.current for turn in taken) <= 1
