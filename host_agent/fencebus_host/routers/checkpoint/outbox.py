"""Decides which pieces go to the group next and when, and which message is given up.  Pure.

What a fence depends on goes first and waits for corosync until its patience is over; announces and inventories take
what room is left, and are dropped beyond it, as others will come.

A few packets only are under way at any time, until they come back to their sender as everybody gets them.  Corosync's
library must never be full: it tells corosync of each message by a byte in a socket, and where that has no room it
waits without an end, as it does for a corosync that is frozen.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from fencebus_host.routers.checkpoint.fragments import HEAD, split
from fencebus_schemas.model import HostId

MOST_WAITING = 16 << 20
"""Bytes of announces and inventories that may wait: two of the largest inventories."""
MOST_COMMANDS = 4096
"""Messages that a fence depends on; each is small, and short of patience."""
MOST_UNDER_WAY = 48
"""Packets given to corosync that have not come back.  Its sockets hold at least 278 such bytes by Linux's default."""


@dataclass(slots=True)
class _Waiting:
    pieces: deque[bytes]
    until: float
    size: int


class Outbox:
    """The messages that corosync has not taken yet."""

    def __init__(self) -> None:
        self.dropped = 0
        """Messages for which there was no room, or whose patience was over."""
        self._commands: deque[_Waiting] = deque()
        self._indications: deque[_Waiting] = deque()
        self._size = 0
        self._number = 0
        self._under_way: deque[bytes] = deque()

    def put(self, message: bytes, to: HostId, until: float, is_command: bool, most: int) -> bool:
        """Take a message, to be split into pieces of ``most`` bytes; false if there is no room for it."""
        full = len(self._commands) >= MOST_COMMANDS if is_command else self._size + len(message) > MOST_WAITING
        if full:
            self.dropped += 1
            return False
        self._number = (self._number + 1) % (1 << 32)
        waiting = _Waiting(deque(split(message, to, self._number, most)), until, len(message))
        if is_command:
            self._commands.append(waiting)
        else:
            self._indications.append(waiting)
            self._size += waiting.size
        return True

    def next(self, now: float, most: int) -> bytes:
        """The packet of ``most`` bytes that is to be sent now, empty if there is none; ``took`` is to be called once
        corosync has it.
        """
        if len(self._under_way) >= MOST_UNDER_WAY:
            return b""
        for lane in (self._commands, self._indications):
            # S12: nothing is carried out late.  What has begun is left unfinished: no receiver will make it up.
            while lane and now >= lane[0].until:
                self._remove(lane)
                self.dropped += 1
        return b"".join(self._first(most))

    def took(self, packet: bytes) -> None:
        """Corosync has the packet that ``next`` told."""
        self._under_way.append(packet[: HEAD.size])
        for piece in list(self._first(len(packet))):
            lane = self._commands if self._commands and self._commands[0].pieces[0] is piece else self._indications
            lane[0].pieces.popleft()
            if not lane[0].pieces:
                self._remove(lane)

    def came_back(self, packet: bytes) -> None:
        """A packet of our own was delivered, and so was everything that was sent before it."""
        head = packet[: HEAD.size]
        if head in self._under_way:
            while self._under_way.popleft() != head:
                pass

    def clear(self) -> None:
        """The connection is lost: what waits was for the members of then.  They are told anew."""
        self.dropped += len(self._commands) + len(self._indications)
        self._commands.clear()
        self._indications.clear()
        self._under_way.clear()
        self._size = 0

    def _first(self, most: int) -> Iterator[bytes]:
        """As many pieces as fit into ``most`` bytes, in their order."""
        waiting = itertools.chain(self._commands, self._indications)
        for piece in itertools.chain.from_iterable(each.pieces for each in waiting):
            most -= len(piece)
            if most < 0:
                return
            yield piece

    def _remove(self, lane: deque[_Waiting]) -> None:
        gone = lane.popleft()
        if lane is self._indications:
            self._size -= gone.size
