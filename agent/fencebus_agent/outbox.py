"""Decides what is sent next, what still may be, and what there is no room for: between the loop and the thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum

from fencebus_agent.bus import Address, BusMessage, Priority
from fencebus_schemas.deadline import Deadline

ROOM = 512
"""Messages that may be under way, waiting or not yet confirmed by the broker, before indications are dropped."""
ROOM_BYTES = 4 << 20
"""The same, of all their bodies."""


class Fate(Enum):
    """What has become of a message."""

    WAITING = "in the outbox"
    WITHDRAWN = "never sent"
    WRITTEN = "given to the broker, which has not confirmed it"
    SETTLED = "confirmed, or refused"


@dataclass(slots=True, eq=False)
class Parcel:
    """A message on its way out."""

    to: Address
    message: BusMessage
    deadline: Deadline
    priority: Priority
    taken: asyncio.Future[None] | None
    """Of a command: done on the loop once the broker has it."""
    fate: Fate = Fate.WAITING
    given_up: bool = False
    """Its sender does not wait any more."""


class Outbox:
    """Commands go first and wait; indications are let in only while there is room.  Its methods never wait long, and
    may be called from the loop and from the thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Priority, deque[Parcel]] = {priority: deque() for priority in Priority}
        self._under_way = 0
        self._bytes = 0

    @property
    def idle(self) -> bool:
        """True if nothing is under way."""
        return self._under_way == 0

    def put(self, parcel: Parcel) -> bool:
        """Let a message wait for its turn; False if it is an indication and there is no room."""
        with self._lock:
            if parcel.priority is Priority.INDICATION and (self._under_way >= ROOM or self._bytes >= ROOM_BYTES):
                return False
            self._waiting[parcel.priority].append(parcel)
            self._under_way += 1
            self._bytes += len(parcel.message.body)
            return True

    def take(self) -> Parcel | None:
        """The next message, WRITTEN from now on; what is past its deadline is left out for good (S12)."""
        with self._lock:
            for queue in (self._waiting[Priority.COMMAND], self._waiting[Priority.INDICATION]):
                while queue:
                    parcel = queue.popleft()
                    if _may_go(parcel):
                        parcel.fate = Fate.WRITTEN
                        return parcel
                    self._leave(parcel, Fate.WITHDRAWN)
        return None

    def withdraw(self, parcel: Parcel) -> Fate:
        """Whoever waits gives up: what has not been written never will be.  Returns the fate before."""
        with self._lock:
            before, parcel.given_up = parcel.fate, True
            if before is Fate.WAITING:
                self._leave(parcel, Fate.WITHDRAWN)
            return before

    def give_back(self, parcel: Parcel) -> None:
        """It could not be written: it waits again, as the next one."""
        with self._lock:
            parcel.fate = Fate.WAITING
            self._waiting[parcel.priority].appendleft(parcel)

    def settle(self, parcel: Parcel) -> None:
        """The broker has spoken about it, or never will."""
        with self._lock:
            self._leave(parcel, Fate.SETTLED)

    def drop_indications(self) -> int:
        """Forget those that wait; returns how many."""
        with self._lock:
            queue = self._waiting[Priority.INDICATION]
            dropped = len(queue)
            while queue:
                self._leave(queue.popleft(), Fate.WITHDRAWN)
            return dropped

    def _leave(self, parcel: Parcel, fate: Fate) -> None:
        """Give its room back, once."""
        if parcel.fate in (Fate.WAITING, Fate.WRITTEN):
            self._under_way -= 1
            self._bytes -= len(parcel.message.body)
        parcel.fate = fate


def _may_go(parcel: Parcel) -> bool:
    late = parcel.priority is Priority.COMMAND and parcel.deadline.expired
    return parcel.fate is Fate.WAITING and not parcel.given_up and not late
