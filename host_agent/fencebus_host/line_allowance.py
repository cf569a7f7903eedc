"""Decides how long a line that floods must wait before more of it is read.  Pure.

A request has 74 bytes, and a guest makes a handful of them in its life; whoever writes more than this gets less of
the daemon's time, and everybody else keeps theirs.
"""

from __future__ import annotations

BYTES_PER_SECOND = 64 * 1024
"""Five times what a serial port of 115200 baud can carry.  The dearest rubbish (a magic every four bytes) costs a
tenth of a core at this rate."""
BURST = 64 * 1024


class Allowance:
    """What one line may still bring; ``now`` is in seconds, on any clock that does not go back."""

    def __init__(self, now: float) -> None:
        self._left = float(BURST)
        self._at = now

    def pause_after(self, size: int, now: float) -> float:
        """Seconds to wait after ``size`` bytes have come at ``now``."""
        self._left = min(BURST, self._left + (now - self._at) * BYTES_PER_SECOND) - size
        self._at = now
        return max(0.0, -self._left / BYTES_PER_SECOND)
