"""Deadline: one budget of time, spent across many waits (S9).

The clock is CLOCK_BOOTTIME: it never jumps when somebody sets the time, and it counts while the machine sleeps, so
that a request which was held over a suspend is late afterwards (S12).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Callable

Clock = Callable[[], float]


def boottime() -> float:
    """Seconds since this machine's boot, suspended time included.  Comparable on one host only."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Deadline:
    """A point on one clock after which nothing of a request is carried out or waited for."""

    at: float
    """Seconds on ``clock``."""

    clock: Clock = field(default=boottime, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, clock: Clock = boottime) -> Deadline:
        """The deadline ``seconds`` from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, never negative: fit to be given to any wait as its time-out."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        """True from the very moment of the deadline on."""
        return self.clock() >= self.at

    def sooner(self, seconds: float) -> Deadline:
        """This deadline, or the one ``seconds`` from now if that is sooner."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)
