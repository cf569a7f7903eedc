"""Decides how long the client still waits: one budget for many waits, so that no sum of small time-outs exceeds it
(S9).

The shared Deadline is a dataclass, which would double the client's start-up time; this is the little of it that a
guest needs.
"""

from __future__ import annotations

from time import monotonic


class Patience:
    """So many seconds from now, and no more."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds left, never negative: fit to be given to any wait."""
        return max(0.0, self._end - monotonic())

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return monotonic() >= self._end
