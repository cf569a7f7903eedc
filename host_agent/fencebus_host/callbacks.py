"""Decides which datagrams are called back.  Pure.

A guest's datagram names the TCP port on which it waits for one call-back, and whoever calls is taken for the answer
to whatever that guest asked last (facts: fence-virt 6.1, 12).  So a call-back must never reach a later request than
its own: a newer request from the same address and port ends the call-backs of older ones that have not been taken,
and what was answered is not called back again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import Action

MOST_UNTAKEN = 256
"""Of these the oldest of whoever sends most goes first (Seats)."""
MOST_CALLS = 2 * MOST_UNTAKEN
"""With those that were taken, and are being carried out."""
MOST_ANSWERED = 4096

Waiting = tuple[str, int]
"""Address and port on which a guest waits."""

Asked = tuple[Action, int, str]
"""What C's daemon compares to know a retransmission: action, seqno, target in lower case."""


class Step(Enum):
    """What becomes of a datagram."""

    CALL = "call back"
    RETRANSMITTED = "retransmitted"
    """Its request is being called back or carried out."""
    ANSWERED = "answered"
    """The guest has its answer already."""
    CROWDED = "crowded"


@dataclass(slots=True)
class _Call:
    asked: Asked
    cancel: Callable[[], object]
    taken: bool = False


class CallBacks:
    """The call-backs of one multicast listener: those under way, and those that were answered."""

    def __init__(self, patience: float, clock: Clock = boottime, most: int = MOST_CALLS) -> None:
        self._patience = patience
        self._clock = clock
        self._most = most
        self._calls: dict[Waiting, list[_Call]] = {}
        self._under_way = 0
        self._answered: dict[tuple[Waiting, Asked], float] = {}

    def __len__(self) -> int:
        return self._under_way

    def consider(self, waiting: Waiting, asked: Asked) -> Step:
        """What to do about an authentic datagram; CALL must be followed by ``begin``."""
        self._forget()
        if (waiting, asked) in self._answered:
            return Step.ANSWERED
        calls = self._calls.get(waiting, [])
        if any(call.asked == asked for call in calls):
            return Step.RETRANSMITTED
        for call in calls:
            if not call.taken:
                call.cancel()
        return Step.CALL if self._under_way < self._most else Step.CROWDED

    def begin(self, waiting: Waiting, asked: Asked, cancel: Callable[[], object]) -> None:
        """A call-back is under way; ``cancel`` ends it if the guest asks for something newer before it has taken the
        call.
        """
        self._calls.setdefault(waiting, []).append(_Call(asked, cancel))
        self._under_way += 1

    def taken(self, waiting: Waiting, asked: Asked) -> None:
        """The guest has taken the call and proved that it holds the key."""
        for call in self._calls.get(waiting, []):
            if call.asked == asked:
                call.taken = True

    def end(self, waiting: Waiting, asked: Asked, answered: bool) -> None:
        """The call-back is over; one that was not answered may be tried again when the guest retransmits."""
        left = [call for call in self._calls.get(waiting, []) if call.asked != asked]
        self._under_way -= len(self._calls.pop(waiting, [])) - len(left)
        if left:
            self._calls[waiting] = left
        if answered:
            self._answered[(waiting, asked)] = self._clock() + self._patience

    def _forget(self) -> None:
        now = self._clock()
        while self._answered:
            oldest = next(iter(self._answered))
            if self._answered[oldest] > now and len(self._answered) <= MOST_ANSWERED:
                return
            del self._answered[oldest]
