"""When a stopped VM is looked at: at the right moment once a manager's pace is known, and often enough before."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt.pace import LONGEST_LEARNT, NARROW, SLOWEST, Pace


def looks(pace: Pace, takes: float, trip: float = 0.0) -> list[float]:
    """When a VM is looked at that is down after ``takes`` seconds; the pace learns from it."""
    found: list[float] = []
    at, not_yet = pace.next_look(0.0), None
    while at < takes:
        found.append(at)
        not_yet = at
        at = max(pace.next_look(at), at + trip)
    pace.learn(not_yet, at)
    return [*found, at]


def test_without_knowledge_it_looks_soon_and_then_ever_more_slowly() -> None:
    found = looks(Pace(), 10.0)
    gaps = [round(later - sooner, 6) for sooner, later in pairwise(found)]
    assert found[0] < 0.1
    assert gaps == sorted(gaps)
    assert max(gaps) <= SLOWEST


@given(st.floats(0.0, 1.9))
def test_after_some_stops_it_needs_three_looks_at_most_and_is_late_by_little(takes: float) -> None:
    pace = Pace()
    for _ in range(12):
        looks(pace, takes)
    found = [looks(pace, takes) for _ in range(20)]
    assert max(map(len, found)) <= 3
    assert max(each[-1] - takes for each in found) <= 3 * NARROW
    assert sum(each[-1] - takes for each in found) / 20 <= 1.5 * NARROW


@given(st.lists(st.floats(0.0, 1.9), max_size=20), st.floats(0.0, 1.9))
def test_whatever_it_has_learnt_it_is_never_later_than_it_ever_was(before: list[float], takes: float) -> None:
    pace = Pace()
    for each in before:
        looks(pace, each)
    assert looks(pace, takes)[-1] <= max(takes * 2 + SLOWEST, LONGEST_LEARNT)


@given(st.floats(0.0, 30.0), st.lists(st.floats(0.0, 30.0), max_size=5))
def test_time_always_goes_on(since: float, before: list[float]) -> None:
    pace = Pace()
    for each in before:
        pace.learn(None, each)
    assert pace.next_look(since) > since


def test_a_stop_that_took_very_long_teaches_nothing() -> None:
    pace = Pace()
    for not_yet in (None, LONGEST_LEARNT + 1):
        pace.learn(not_yet, LONGEST_LEARNT + 2)
        assert pace == Pace()


def test_a_look_that_came_too_late_says_at_least_when_it_was_too_soon() -> None:
    pace = Pace()
    pace.learn(1.0, LONGEST_LEARNT + 1)
    assert pace == Pace(1.0, LONGEST_LEARNT)
