"""Decides when to look again whether a VM that was stopped is down.  Pure.

A manager says that it has accepted a stop, and some time later that the VM is down; it calls nobody.  How long that
takes is much the same each time, so that what the last stop took says when the next one will be over: one or two
looks at the right time instead of many.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 0.04
GROWTH = 1.7
SLOWEST = 1.0
"""Seconds between two looks at most, while nobody knows."""
LONGEST_LEARNT = 2.0
"""Seconds; a stop that took longer says nothing about the next, which would be noticed too late if it was quick."""
NARROW = 0.010
"""Seconds within which there is nothing more to learn: the wire's own time."""


@dataclass(slots=True)
class Pace:
    """What the stops of one manager taught.  Seconds, from the moment at which a stop was accepted."""

    not_yet: float = 0.0
    """The VM was not down then."""
    down: float | None = None
    """The VM was down then; ``None`` as long as nobody knows."""

    def next_look(self, since: float) -> float:
        """When to look, if the last look was at ``since`` and the VM was not down."""
        for point in self._points():
            if point > since + NARROW / 4:
                return point
        known = self.down or 0.0
        return since + min(max(FIRST, (since - known) * (GROWTH - 1.0)), SLOWEST)

    def _points(self) -> tuple[float, ...]:
        if self.down is None:
            return ()
        width = self.down - self.not_yet
        sooner = (self.down - width / 2,) if width > 1.5 * NARROW else ()
        return (*sooner, self.down, self.down + NARROW, self.down + 3 * NARROW)

    def learn(self, not_yet: float | None, down: float) -> None:
        """Take in one stop: the last look at which the VM was not down, if any, and the one at which it was.

        If the first look came late already, how much sooner would have done is found out by the next ones.
        """
        if down > LONGEST_LEARNT and (not_yet is None or not_yet > LONGEST_LEARNT):
            return
        down = min(down, LONGEST_LEARNT)
        if not_yet is None:
            not_yet = self._perhaps_not_yet(down)
        self.not_yet, self.down = max(0.0, not_yet), down

    def _perhaps_not_yet(self, down: float) -> float:
        """A time at which to look sooner may still be too soon, if the first look was late enough already."""
        if self.down is not None and down < self.down - NARROW / 4:
            return self.not_yet
        return down - 2 * max((self.down or down) - self.not_yet, NARROW)
