"""What is given to corosync next: commands first, nothing late, never more than its library holds."""

from __future__ import annotations

from fencebus_host.routers.checkpoint.fragments import HEAD, Assembly
from fencebus_host.routers.checkpoint.happenings import Peer
from fencebus_host.routers.checkpoint.outbox import MOST_COMMANDS, MOST_UNDER_WAY, MOST_WAITING, Outbox
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE

MOST = HEAD.size + 10


def put(outbox: Outbox, message: bytes, *, command: bool, until: float = 100.0, most: int = MOST) -> bool:
    return outbox.put(message, EVERYONE, until, command, most)


def sent(outbox: Outbox, now: float = 0.0) -> list[bytes]:
    """Everything, as a receiver puts it together; what was sent comes back at once."""
    assembly, wholes = Assembly(HostId("me")), []
    while (piece := outbox.next(now)) is not None:
        outbox.took()
        outbox.came_back(piece)
        if (whole := assembly.add(Peer(1, 1), piece)) is not None:
            wholes.append(whole)
    return wholes


def test_commands_overtake_what_is_no_command_even_in_the_middle_of_it() -> None:
    outbox = Outbox()
    put(outbox, b"inventory" * 10, command=False)
    assert outbox.next(0.0) is not None
    outbox.took()
    put(outbox, b"a long command", command=True)
    put(outbox, b"another", command=True)
    pieces = []
    while (piece := outbox.next(0.0)) is not None:
        pieces.append(piece[HEAD.size :])
        outbox.took()
    assert pieces[:3] == [b"a long com", b"mand", b"another"]


def test_messages_of_one_kind_keep_their_order() -> None:
    outbox = Outbox()
    for number in range(5):
        put(outbox, b"message %d with words" % number, command=True)
    assert sent(outbox) == [b"message %d with words" % number for number in range(5)]


def test_s12_what_is_too_late_is_not_sent_and_not_finished() -> None:
    outbox = Outbox()
    put(outbox, b"x" * 25, command=True, until=10.0)
    put(outbox, b"in time", command=True, until=20.0)
    assert outbox.next(9.9) is not None
    outbox.took()
    assert sent(outbox, now=10.0) == [b"in time"]
    assert outbox.dropped == 1


def test_only_so_many_pieces_are_under_way_until_they_come_back() -> None:
    outbox = Outbox()
    for _ in range(MOST_UNDER_WAY + 5):
        put(outbox, b"x", command=True)
    pieces = []
    while (piece := outbox.next(0.0)) is not None:
        outbox.took()
        pieces.append(piece)
    assert len(pieces) == MOST_UNDER_WAY
    outbox.came_back(pieces[2])  # whatever went before it has been delivered too
    more = 0
    while outbox.next(0.0) is not None:
        outbox.took()
        more += 1
    assert more == 3


def test_what_comes_back_of_an_earlier_connection_changes_nothing() -> None:
    outbox = Outbox()
    put(outbox, b"x", command=True)
    old = outbox.next(0.0)
    assert old is not None
    outbox.took()
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
    assert len(sent(outbox)) == 3
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
    assert outbox.next(0.0) is None
    assert outbox.dropped == 2
