"""Decides how long a line that floods must wait before more of it is read.  Pure.

A request has 74 bytes, and a guest makes a handful of them in its life; whoever writes more gets a bounded share of
the daemon's time, and everybody else keeps theirs.  Time is what is rationed, not bytes: a login prompt costs next to
nothing, and what a guest has left on its line (4 MB fit into a virtio port) delays its own next request by seconds.
"""

from __future__ import annotations

SHARE = 0.1
"""Of one processor."""
BURST_SECONDS = 0.05


class Allowance:
    """The time that one line may still take; ``now`` is in seconds, on any clock that does not go back."""

    def __init__(self, now: float) -> None:
        self._left = BURST_SECONDS
        self._at = now

    def pause_after(self, cost: float, now: float) -> float:
        """Seconds to wait after something that took ``cost`` seconds and ended at ``now``."""
        self._left = min(BURST_SECONDS, self._left + (now - self._at) * SHARE) - cost
        self._at = now
        return max(0.0, -self._left / SHARE)
