"""Which refusals deserve a line in the log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.complaints import EVERY_SECONDS, MOST_LINES, Complaints


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_its_kind_gets_a_line_and_the_next_ones_are_counted() -> None:
    clock = Clock()
    complaints = Complaints(clock)
    assert complaints.worth_a_line("192.0.2.1", "magic") == 0
    assert [complaints.worth_a_line("192.0.2.1", "magic") for _ in range(5)] == [None] * 5
    clock.now += EVERY_SECONDS
    assert complaints.worth_a_line("192.0.2.1", "magic") == 5
    clock.now += EVERY_SECONDS
    assert complaints.worth_a_line("192.0.2.1", "magic") == 0


def test_another_source_and_another_reason_have_lines_of_their_own() -> None:
    complaints = Complaints(Clock())
    seen = [complaints.worth_a_line(source, code) for source in ("a", "b") for code in ("magic", "length")]
    assert seen == [0, 0, 0, 0]


def test_sources_without_number_are_remembered_in_bounded_memory() -> None:
    clock = Clock()
    complaints = Complaints(clock, most=10)
    for number in range(100):
        clock.now += EVERY_SECONDS
        complaints.worth_a_line(f"source {number}", "magic")
    assert len(complaints._told) == 10


def test_a_flood_from_invented_sources_does_not_become_a_flood_of_lines() -> None:
    clock = Clock()
    complaints = Complaints(clock)
    lines = [complaints.worth_a_line(f"source {number}", "magic") for number in range(10_000)]
    assert len([line for line in lines if line is not None]) == MOST_LINES
    clock.now += EVERY_SECONDS
    assert complaints.worth_a_line("one more", "magic") == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=60))
def test_each_refusal_is_either_a_line_or_counted_in_a_later_one(happened: list[tuple[str, float]]) -> None:
    clock = Clock()
    complaints = Complaints(clock)
    told = 0
    for source, pause in happened:
        clock.now += pause
        held_back = complaints.worth_a_line(source, "magic")
        told += 0 if held_back is None else 1 + held_back
    waiting = sum(each.held_back for each in complaints._told.values())
    assert told + waiting == len(happened)
