"""Converts measured times to the figures of a table: how many, least, median, nine tenths, most."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told of a series of times.  ``times`` are milliseconds, sorted."""

    times: tuple[float, ...]

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Figures:
        """The figures of times in seconds; raises ValueError if there are none."""
        times = tuple(sorted(1000 * each for each in seconds))
        if not times:
            raise ValueError("nothing was measured")
        return cls(times)

    @property
    def count(self) -> int:
        """How many times were measured."""
        return len(self.times)

    @property
    def least(self) -> float:
        """The shortest time."""
        return self.times[0]

    @property
    def median(self) -> float:
        """The middle one, or the mean of the two in the middle."""
        return statistics.median(self.times)

    @property
    def p90(self) -> float:
        """The shortest time that at least nine tenths do not exceed: one that was measured, nothing in between."""
        return self.times[ceil(0.9 * len(self.times)) - 1]

    @property
    def p99(self) -> float:
        """The shortest time that at least 99 of 100 do not exceed."""
        return self.times[ceil(0.99 * len(self.times)) - 1]

    @property
    def most(self) -> float:
        """The longest time."""
        return self.times[-1]

    def ratio_to(self, other: Figures) -> float:
        """This median in terms of the other's."""
        return self.median / other.median
