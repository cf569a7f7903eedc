"""Decides when an agent says what unasked: heartbeats, and all its objects a while after somebody looked for agents.

Pure.  A console drops objects of an agent that it does not know yet, and it gets to know one by another queue: hence
three times, the first one late enough for most (facts: qpidd 3e).  Times are seconds of the event loop.
"""

from __future__ import annotations

AFTER_A_LOOK = (0.5, 2.0, 5.0)
APART = 0.5
"""Seconds between two times at which everything is told: who looks often makes nobody talk all the time."""


class Plan:
    """When the next word is due."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._heartbeat = float("inf")
        self._everything: list[float] = []
        self._last = float("-inf")

    def connected(self, now: float) -> None:
        """The bus is there: a heartbeat at once, and everything as if somebody had looked."""
        self._heartbeat = now
        self.looked(now)

    def lost(self) -> None:
        """Nobody would hear anything."""
        self._heartbeat = float("inf")
        self._everything = []

    def looked(self, now: float) -> None:
        """Somebody looks for agents."""
        for delay in AFTER_A_LOOK:
            due = max(now + delay, self._last + APART)
            if all(abs(due - other) >= APART for other in self._everything):
                self._everything.append(due)

    @property
    def next(self) -> float:
        """When to look at the plan again; infinite if nothing is due."""
        return min([self._heartbeat, *self._everything])

    def take_heartbeat(self, now: float) -> bool:
        """True if a heartbeat is due; the next one is then an interval away."""
        if now < self._heartbeat:
            return False
        self._heartbeat = now + self._interval
        return True

    def take_everything(self, now: float) -> bool:
        """True if all objects are due to be told."""
        due = [at for at in self._everything if at <= now]
        if due:
            self._everything = [at for at in self._everything if at > now]
            self._last = now
        return bool(due)
