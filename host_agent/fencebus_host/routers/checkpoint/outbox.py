"""Decides which piece goes to the group next and when, and which message is given up.  Pure.

What a fence depends on goes first and waits for corosync until its patience is over; announces and inventories take
what room is left, and are dropped beyond it, as others will come.

A few pieces only are under way at any time, until they come back to their sender as everybody gets them.  Corosync's
library must never be full: it tells corosync of each message by a byte in a socket, and where that has no room it
waits without an end, as it does for a corosync that is frozen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from fencebus_host.routers.checkpoint.fragments import HEAD, split
from fencebus_schemas.model import HostId

MOST_WAITING = 16 << 20
"""Bytes of announces and inventories that may wait: two of the largest inventories."""
MOST_COMMANDS = 4096
"""Messages that a fence depends on; each is small, and short of patience."""
MOST_UNDER_WAY = 48
"""Pieces given to corosync that have not come back.  Its sockets hold at least 278 such bytes by Linux's default."""


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

    def next(self, now: float) -> bytes | None:
        """The piece that is to be sent now; ``took`` is to be called once corosync has it."""
        if len(self._under_way) >= MOST_UNDER_WAY:
            return None
        for lane in (self._commands, self._indications):
            while lane and now >= lane[0].until:
                # S12: nothing is carried out late.  What has begun is left unfinished: no receiver will make it up.
                self._remove(lane)
                self.dropped += 1
            if lane:
                return lane[0].pieces[0]
        return None

    def took(self) -> None:
        """Corosync has the piece that ``next`` told."""
        lane = self._commands or self._indications
        self._under_way.append(lane[0].pieces.popleft()[: HEAD.size])
        if not lane[0].pieces:
            self._remove(lane)

    def came_back(self, piece: bytes) -> None:
        """A piece of our own was delivered, and so was everything that was sent before it."""
        head = piece[: HEAD.size]
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

    def _remove(self, lane: deque[_Waiting]) -> None:
        gone = lane.popleft()
        if lane is self._indications:
            self._size -= gone.size
