"""Converts a message between hosts to pieces that a corosync group takes, and back.  Pure.

A group delivers the pieces of one sender in their order, each once, to all members; pieces of several messages of a
sender may alternate.  Nothing here is believed: the message that comes together carries its own signature.

A piece is a head of 24 bytes (``fbcg``, version, three bytes of zero, a mark of the receiver, the message's number,
the piece's number, how many there are) and its part of the message.
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

HEAD = struct.Struct("!4sB3xIIII")
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
        yield HEAD.pack(MAGIC, VERSION, mark, number, index, count) + message[index * room : (index + 1) * room]


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

    def add(self, sender: Peer, piece: bytes) -> bytes | None:
        """The message that this piece completes, if it does, and is for us.

        Raises WireError for what is no piece, or none that can come next; what it belonged to is lost then.
        """
        if len(piece) < HEAD.size:
            raise WireError("length", f"a piece of {len(piece)} bytes")
        magic, version, mark, number, index, count = HEAD.unpack_from(piece)
        if magic != MAGIC:
            raise WireError("magic", "no piece of a message between hosts")
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
