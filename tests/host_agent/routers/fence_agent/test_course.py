"""What an agent is asked next, and when a power action is proven."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.fence_agent.contract import Finished, Power, Verb, power_of
from fencebus_host.routers.fence_agent.course import MOST_OFFS, Kind, Said, missing, next_step, power_now, share

DONE = Finished(0)
FAILED = Finished(1, complaint="no")
IS_ON, IS_OFF = Finished(0, "Status: ON"), Finished(2, "Status: OFF")
RUNS = (DONE, FAILED, IS_ON, IS_OFF, Finished(None, ended_for="late"), Finished(2))


def went(goal: Verb, *answers: Finished) -> list[Said]:
    """The course of an action whose agent answers so."""
    said: list[Said] = []
    for answer in answers:
        step = next_step(goal, said)
        assert step.kind is Kind.RUN
        said.append(Said(step.verb, answer))
    return said


def proven(goal: Verb, *answers: Finished) -> bool:
    return next_step(goal, went(goal, *answers)).kind is Kind.PROVEN


def test_an_off_that_succeeded_is_proven_by_one_status() -> None:
    assert [each.verb for each in went(Verb.OFF, DONE, IS_OFF)] == [Verb.OFF, Verb.STATUS]
    assert proven(Verb.OFF, DONE, IS_OFF)
    assert not proven(Verb.OFF, DONE)


def test_an_off_that_failed_needs_two_statuses() -> None:
    assert not proven(Verb.OFF, FAILED, IS_OFF)
    assert proven(Verb.OFF, FAILED, IS_OFF, IS_OFF)


def test_what_was_off_and_is_on_again_has_to_be_off_twice_anew() -> None:
    assert not proven(Verb.OFF, DONE, IS_ON, IS_OFF)
    assert proven(Verb.OFF, DONE, IS_ON, IS_OFF, IS_OFF)
    assert not proven(Verb.OFF, FAILED, IS_OFF, IS_ON, FAILED, IS_OFF)


def test_an_off_is_repeated_while_it_fails_and_never_when_it_said_that_it_succeeded() -> None:
    failing = went(Verb.OFF, *[FAILED, IS_ON] * 6)
    assert sum(each.verb is Verb.OFF for each in failing) == MOST_OFFS
    lying = went(Verb.OFF, DONE, *[IS_ON] * 11)
    assert sum(each.verb is Verb.OFF for each in lying) == 1


def test_an_on_is_never_repeated_and_one_status_proves_it() -> None:
    assert proven(Verb.ON, FAILED, IS_ON)
    assert proven(Verb.ON, DONE, IS_ON)
    course = went(Verb.ON, FAILED, *[IS_OFF] * 9)
    assert sum(each.verb is Verb.ON for each in course) == 1


def test_the_pauses_grow_to_two_seconds() -> None:
    pauses = [next_step(Verb.OFF, went(Verb.OFF, DONE, *[IS_ON] * looks)).pause for looks in range(1, 7)]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


@given(st.lists(st.sampled_from(RUNS), max_size=12))
def test_off_is_never_proven_but_by_two_words_for_it_of_which_the_last_is_a_status(answers: list[Finished]) -> None:
    said: list[Said] = []
    for answer in answers:
        step = next_step(Verb.OFF, said)
        if step.kind is Kind.PROVEN:
            break
        said.append(Said(step.verb, answer))
    if next_step(Verb.OFF, said).kind is not Kind.PROVEN:
        return
    last, before = said[-1], said[-2]
    assert last.verb is Verb.STATUS
    assert power_of(last.run) is Power.OFF
    assert before.run.done if before.verb is Verb.OFF else power_of(before.run) is Power.OFF


def test_behind_an_act_there_is_time_to_look() -> None:
    assert share(Verb.OFF, 24.0) == 19.0
    assert share(Verb.OFF, 6.0) == 4.0
    assert share(Verb.STATUS, 6.0) == 6.0


@pytest.mark.parametrize(
    ("answers", "text"),
    (
        ((), "no time left for off"),
        ((DONE,), "its off succeeded, and there was no time left for a status"),
        ((DONE, IS_ON), "its off succeeded, and the status is ON"),
        ((FAILED, IS_OFF), "its off failed (exit status 1: no), and the status is OFF"),
        ((DONE, FAILED), "its off succeeded, and the status cannot be told (exit status 1: no)"),
    ),
)
def test_what_is_missing_is_said(answers: tuple[Finished, ...], text: str) -> None:
    assert text in missing(Verb.OFF, went(Verb.OFF, *answers))


def test_the_last_status_counts() -> None:
    assert power_now(went(Verb.OFF, DONE, IS_OFF)) is Power.OFF
    assert power_now(went(Verb.OFF, DONE)) is Power.UNKNOWN
