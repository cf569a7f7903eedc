"""What is new, the same once more, or played back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.replay import KEPT_SECONDS, SeenRequests, Sight

PATIENCE = 25.0


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen(clock: Clock) -> SeenRequests:
    return SeenRequests(PATIENCE, clock)


def test_a_signature_is_fresh_once(seen: SeenRequests) -> None:
    assert seen.look(b"one", "a") is Sight.FRESH
    assert seen.look(b"two", "a") is Sight.FRESH
    assert seen.look(b"one", "a") is Sight.AGAIN


def test_it_is_a_retransmission_only_from_the_same_source(seen: SeenRequests) -> None:
    seen.look(b"one", "a")
    assert seen.look(b"one", "b") is Sight.REPLAYED


def test_it_is_a_retransmission_only_within_its_patience(seen: SeenRequests, clock: Clock) -> None:
    seen.look(b"one", "a")
    clock.now += PATIENCE - 0.001
    assert seen.look(b"one", "a") is Sight.AGAIN
    clock.now += 0.001
    assert seen.look(b"one", "a") is Sight.REPLAYED


def test_it_is_no_retransmission_once_it_was_answered(seen: SeenRequests) -> None:
    seen.look(b"one", "a")
    seen.answered(b"one")
    assert seen.look(b"one", "a") is Sight.REPLAYED


def test_a_recording_is_refused_an_hour_later_and_until_a_day_has_passed(seen: SeenRequests, clock: Clock) -> None:
    seen.look(b"one", "a")
    clock.now += 3600
    assert seen.look(b"one", "a") is Sight.REPLAYED
    clock.now += KEPT_SECONDS - 3600.001
    assert seen.look(b"one", "a") is Sight.REPLAYED


def test_after_a_day_it_is_forgotten(seen: SeenRequests, clock: Clock) -> None:
    seen.look(b"one", "a")
    clock.now += KEPT_SECONDS
    assert seen.look(b"two", "a") is Sight.FRESH
    assert len(seen) == 1


def test_an_answer_to_what_was_forgotten_is_nothing_special(seen: SeenRequests) -> None:
    seen.answered(b"never seen")
    assert len(seen) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("ab"), st.floats(0, 20), st.booleans()), max_size=60))
def test_nothing_is_fresh_twice_and_memory_is_bounded(
    events: list[tuple[int, str, float, bool]],
) -> None:
    clock = Clock()
    seen = SeenRequests(PATIENCE, clock, most=1000)
    fresh: set[int] = set()
    for number, source, pause, answered in events:
        clock.now += pause
        sight = seen.look(bytes([number]), source)
        assert (sight is Sight.FRESH) == (number not in fresh)
        fresh.add(number)
        if answered:
            seen.answered(bytes([number]))
    assert len(seen) == len(fresh)


def test_in_a_flood_the_oldest_go_first() -> None:
    seen = SeenRequests(PATIENCE, Clock(), most=3)
    for number in range(10):
        seen.look(bytes([number]), "a")
    assert len(seen) == 3
    assert seen.look(bytes([9]), "a") is Sight.AGAIN
    assert seen.look(bytes([0]), "a") is Sight.FRESH


def test_what_an_earlier_run_of_the_daemon_saw_is_played_back(seen: SeenRequests) -> None:
    seen.take_up([b"before the restart"])
    assert seen.look(b"before the restart", "a") is Sight.REPLAYED
    assert seen.look(b"after it", "a") is Sight.FRESH


def test_the_shortest_patience_of_all_listeners_counts(seen: SeenRequests, clock: Clock) -> None:
    seen.limit(PATIENCE * 2)
    seen.limit(5.0)
    seen.look(b"one", "a")
    clock.now += 5.0
    assert seen.look(b"one", "a") is Sight.REPLAYED
