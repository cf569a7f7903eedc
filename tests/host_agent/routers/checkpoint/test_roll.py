"""Which hosts have left: only who was heard, and only if no other process speaks for the same host."""

from __future__ import annotations

from fencebus_host.routers.checkpoint.happenings import Changed, Peer
from fencebus_host.routers.checkpoint.roll import Roll
from fencebus_schemas.model import HostId

A, B, A_AGAIN = Peer(1, 10), Peer(2, 20), Peer(1, 11)


def now(*members: Peer, left: tuple[Peer, ...] = ()) -> Changed:
    return Changed(frozenset(members), frozenset(left), frozenset())


def roll_with(*members: Peer) -> Roll:
    roll = Roll()
    assert roll.changed(now(*members)) == ()
    return roll


def test_a_host_whose_process_has_left_is_gone() -> None:
    roll = roll_with(A, B)
    roll.spoke(A, HostId("a"))
    roll.spoke(B, HostId("b"))
    assert roll.changed(now(B, left=(A,))) == ("a",)
    assert roll.members == {B}
    assert roll.changed(now(B)) == ()


def test_who_never_said_its_name_leaves_unnoticed() -> None:
    roll = roll_with(A, B)
    assert roll.changed(now(B, left=(A,))) == ()


def test_a_daemon_that_is_back_before_its_predecessor_has_left_is_not_gone() -> None:
    roll = roll_with(A, B)
    roll.spoke(A, HostId("a"))
    roll.changed(now(A, A_AGAIN, B))
    roll.spoke(A_AGAIN, HostId("a"))
    assert roll.changed(now(A_AGAIN, B, left=(A,))) == ()
    assert roll.changed(now(B, left=(A_AGAIN,))) == ("a",)


def test_a_late_word_of_a_process_that_has_left_brings_nobody_back() -> None:
    roll = roll_with(B)
    roll.spoke(A, HostId("a"))
    assert roll.changed(now(B)) == ()


def test_who_spoke_out_of_a_process_is_known_while_it_is_there() -> None:
    roll = roll_with(A, B)
    roll.spoke(A, HostId("a"))
    assert roll.hosts_of((A, B, A_AGAIN)) == {"a"}
    roll.changed(now(B, left=(A,)))
    assert roll.hosts_of((A,)) == frozenset()


def test_a_lost_connection_takes_all_of_them() -> None:
    roll = roll_with(A, B)
    roll.spoke(A, HostId("a"))
    roll.spoke(B, HostId("b"))
    assert roll.all_gone() == ("a", "b")
    assert roll.members == frozenset()
