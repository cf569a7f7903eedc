"""Decides what happens next: one queue of events on a virtual clock, the same in each run of a seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Act = Callable[[], None]


def noise(*key: int) -> float:
    """A number in [0, 1) that hangs on ``key`` alone: a schedule from which an event is taken keeps all other delays.

    ``hash`` of integers does not depend on PYTHONHASHSEED.
    """
    mixed = hash(key)
    mixed ^= mixed >> 32
    return ((mixed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 11) / (1 << 53)


class Scheduler:
    """A virtual clock in seconds, and what is to happen on it.  Events of one instant come in the order of their
    making.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._queue: list[tuple[float, int, Act]] = []
        self._made = 0

    def at(self, when: float, act: Act) -> None:
        """Let ``act`` happen at ``when``, or now if that is past."""
        self._made += 1
        heapq.heappush(self._queue, (max(when, self.now), self._made, act))

    def after(self, seconds: float, act: Act) -> None:
        """Let ``act`` happen in so many seconds."""
        self.at(self.now + seconds, act)

    def run(self, until: float) -> None:
        """Let everything happen up to and at ``until``."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, act = heapq.heappop(self._queue)
            self.events += 1
            act()
        self.now = until
