"""Converts a message between hosts to pieces that a corosync group takes, and back.  Pure.

A group delivers the pieces of one sender in their order, each once, to all members; pieces of several messages of a
sender may alternate.  Nothing here is believed: the message that comes together carries its own signature.

What is given to the group at once is a packet: one piece or several, as each packet wakes every daemon of the
cluster.  A piece is a head of 28 bytes (``fbcg``, version, three bytes of zero, a mark of the receiver, the message's
number, the piece's number, how many there are, the length of what follows) and its part of the message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

from fencebus_host.routers.checkpoint.happenings import Peer
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE
from fencebus_schemas.peer_codec import MOST_BYTES

HEAD = struct.Struct("!4sB3xIIIII")
MAGIC, VERSION = b"fbcg", 1
MOST_OPEN = 8
"""Messages of one sender of which pieces are missing: a sender has a command and an indication under way at most."""
MOST_PIECES = 4096


def mark_of(host: HostId) -> int:
    """What stands for a receiver in the heads of pieces, so that others need not look further; 0 for all hosts."""
    return 0 if host == EVERYONE else crc32(host.encode("utf-8", "surrogatepass")) or 1


def split(message: bytes, to: HostId, number: int, most: int) -> Iterator[bytes]:
    """The pieces of a message, of ``most`` bytes each.  ``number`` is another for each message of a sender."""
    room = most - HEAD.size
    count = max(-(-len(message) // room), 1)
    mark = mark_of(to)
    for index in range(count):
        part = message[index * room : (index + 1) * room]
        yield HEAD.pack(MAGIC, VERSION, mark, number, index, count, len(part)) + part


@dataclass(slots=True)
class _Open:
    count: int
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Assembly:
    """Puts pieces together, for one receiver."""

    def __init__(self, me: HostId) -> None:
        self._marks = (mark_of(EVERYONE), mark_of(me))
        self._open: dict[Peer, dict[int, _Open]] = {}

    def add(self, sender: Peer, packet: bytes) -> list[bytes]:
        """The messages for us that this packet completes.

        Raises WireError for what is no piece, or none that can come next; what it belonged to is lost then, and so
        is the rest of the packet.
        """
        whole = []
        while packet:
            length = HEAD.size + _length(packet)
            message = self._piece(sender, packet[:length])
            if message is not None:
                whole.append(message)
            packet = packet[length:]
        return whole

    def _piece(self, sender: Peer, piece: bytes) -> bytes | None:
        _magic, version, mark, number, index, count, _length = HEAD.unpack_from(piece)
        if version != VERSION:
            raise WireError("version", f"pieces of version {version}, and this is {VERSION}")
        if mark not in self._marks:
            return None
        if not 0 <= index < count <= MOST_PIECES:
            raise WireError("range", f"piece {index} of {count}")
        part = piece[HEAD.size :]
        return part if count == 1 else self._joined(sender, number, index, count, part)

    def forget(self, sender: Peer) -> None:
        """It has left: what it has not finished never will be."""
        self._open.pop(sender, None)

    def _joined(self, sender: Peer, number: int, index: int, count: int, part: bytes) -> bytes | None:
        mine = self._open.setdefault(sender, {})
        if index == 0:
            mine.pop(number, None)
            while len(mine) >= MOST_OPEN:
                del mine[next(iter(mine))]
            mine[number] = _Open(count)
        begun = mine.get(number)
        if begun is None:
            return None  # its beginning was before our time, or was given up
        if (begun.count, len(begun.pieces)) != (count, index) or begun.size + len(part) > MOST_BYTES:
            del mine[number]
            raise WireError("order", f"piece {index} of {count} does not follow the one before")
        begun.pieces.append(part)
        begun.size += len(part)
        if index + 1 < count:
            return None
        del mine[number]
        return b"".join(begun.pieces)


def _length(packet: bytes) -> int:
    """Bytes behind the first head.  Raises WireError where that is none, or more than there are."""
    if len(packet) < HEAD.size:
        raise WireError("length", f"a piece of {len(packet)} bytes")
    magic, *_others, length = HEAD.unpack_from(packet)
    if magic != MAGIC:
        raise WireError("magic", "no piece of a message between hosts")
    if length > len(packet) - HEAD.size:
        raise WireError("length", f"{len(packet) - HEAD.size} bytes of a piece of {length}")
    return int(length)
