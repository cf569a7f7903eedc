"""What is given to corosync next: commands first, nothing late, never more than its library holds."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_host.routers.checkpoint.fragments import HEAD, Assembly
from fencebus_host.routers.checkpoint.happenings import Peer
from fencebus_host.routers.checkpoint.outbox import MOST_COMMANDS, MOST_UNDER_WAY, MOST_WAITING, Outbox
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE

MOST = HEAD.size + 10


def put(outbox: Outbox, message: bytes, *, command: bool, until: float = 100.0, most: int = MOST) -> bool:
    return outbox.put(message, EVERYONE, until, command, most)


def sent(outbox: Outbox, now: float = 0.0, most: int = MOST) -> list[bytes]:
    """Everything, as a receiver puts it together; what was sent comes back at once."""
    assembly, wholes = Assembly(HostId("me")), []
    for packet in packets(outbox, now, most):
        outbox.came_back(packet)
        wholes += assembly.add(Peer(1, 1), packet)
    return wholes


def packets(outbox: Outbox, now: float = 0.0, most: int = MOST) -> Iterator[bytes]:
    """What corosync takes, one by one."""
    while packet := outbox.next(now, most):
        outbox.took(packet)
        yield packet


def test_commands_overtake_what_is_no_command_even_in_the_middle_of_it() -> None:
    outbox = Outbox()
    put(outbox, b"inventory" * 10, command=False)
    next(packets(outbox))
    put(outbox, b"a long command", command=True)
    put(outbox, b"another", command=True)
    assert [packet[HEAD.size :] for packet in packets(outbox)][:3] == [b"a long com", b"mand", b"another"]


def test_what_is_said_at_once_goes_as_one_packet() -> None:
    outbox = Outbox()
    for word in (b"inventory", b"announce"):
        put(outbox, word, command=False)
    for word in (b"guard", b"fence"):
        put(outbox, word, command=True)
    (packet,) = packets(outbox, most=1000)
    assert Assembly(HostId("me")).add(Peer(1, 1), packet) == [b"guard", b"fence", b"inventory", b"announce"]


def test_a_packet_is_never_longer_than_corosync_takes() -> None:
    outbox = Outbox()
    for number in range(20):
        put(outbox, b"x" * number, command=bool(number % 2))
    assert max(map(len, packets(outbox, most=3 * MOST))) <= 3 * MOST


def test_messages_of_one_kind_keep_their_order() -> None:
    outbox = Outbox()
    for number in range(5):
        put(outbox, b"message %d with words" % number, command=True)
    assert sent(outbox) == [b"message %d with words" % number for number in range(5)]


def test_s12_what_is_too_late_is_not_sent_and_not_finished() -> None:
    outbox = Outbox()
    put(outbox, b"x" * 25, command=True, until=10.0)
    put(outbox, b"in time", command=True, until=20.0)
    next(packets(outbox, now=9.9))
    assert sent(outbox, now=10.0) == [b"in time"]
    assert outbox.dropped == 1


def test_only_so_many_pieces_are_under_way_until_they_come_back() -> None:
    outbox = Outbox()
    for _ in range(MOST_UNDER_WAY + 5):
        put(outbox, b"x", command=True)
    first = list(packets(outbox, most=MOST - 9))
    assert len(first) == MOST_UNDER_WAY
    outbox.came_back(first[2])  # whatever went before it has been delivered too
    assert len(list(packets(outbox, most=MOST - 9))) == 3


def test_what_comes_back_of_an_earlier_connection_changes_nothing() -> None:
    outbox = Outbox()
    put(outbox, b"x", command=True)
    (old,) = packets(outbox)
    outbox.clear()
    put(outbox, b"y", command=True)
    outbox.came_back(old)
    assert sent(outbox) == [b"y"]


def test_indications_are_dropped_beyond_their_room_and_take_none_from_commands() -> None:
    outbox = Outbox()
    big = bytes(MOST_WAITING // 2)
    assert put(outbox, big, command=False, most=1 << 20)
    assert put(outbox, big, command=False, most=1 << 20)
    assert not put(outbox, b"x", command=False)
    assert put(outbox, b"x", command=True)
    assert outbox.dropped == 1
    assert len(sent(outbox, most=1 << 20)) == 3
    assert put(outbox, b"x", command=False)


def test_commands_have_an_end_too() -> None:
    outbox = Outbox()
    assert all(put(outbox, b"x", command=True) for _ in range(MOST_COMMANDS))
    assert not put(outbox, b"x", command=True)


def test_a_lost_connection_takes_everything_with_it() -> None:
    outbox = Outbox()
    put(outbox, b"x", command=True)
    put(outbox, b"y", command=False)
    outbox.clear()
    assert outbox.next(0.0, MOST) == b""
    assert outbox.dropped == 2
