"""Who has to leave when too many peers say nothing."""

from __future__ import annotations

from fencebus_host.listeners.seats import Seats


def _seated(seats: Seats, source: str, name: str, left: list[str]) -> str | None:
    return seats.take(source, name, lambda: left.append(name))


def test_while_there_is_room_nobody_leaves() -> None:
    seats, left = Seats(most=3), list[str]()
    assert [_seated(seats, "a", name, left) for name in "123"] == [None] * 3
    assert (len(seats), left) == (3, [])


def test_the_oldest_peer_of_the_source_that_has_the_most_leaves_first() -> None:
    seats, left = Seats(most=3), list[str]()
    for source, name in (("honest", "h"), ("flood", "f1"), ("flood", "f2")):
        _seated(seats, source, name, left)
    assert _seated(seats, "flood", "f3", left) == "flood"
    assert left == ["f1"]
    assert len(seats) == 3


def test_a_seat_that_was_given_up_is_free_again() -> None:
    seats, left = Seats(most=1), list[str]()
    _seated(seats, "a", "1", left)
    seats.give_up("a", "1")
    seats.give_up("a", "1")
    seats.give_up("nobody", "2")
    assert _seated(seats, "b", "3", left) is None
    assert (len(seats), left) == (1, [])
