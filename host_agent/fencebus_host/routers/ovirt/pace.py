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
"""Seconds between two looks at most: whatever the last stop took, this one may be quick, or slow."""
NARROW = 0.010
LONGEST_LEARNT = 3.0
"""A stop that took longer says nothing about the next."""


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
                return min(point, since + SLOWEST)
        known = self.down or 0.0
        return since + min(max(FIRST, (since - known) * (GROWTH - 1.0)), SLOWEST)

    def _points(self) -> tuple[float, ...]:
        if self.down is None:
            return ()
        width = max(self.down - self.not_yet, NARROW)
        return (self.down - width / 2, self.down + NARROW / 2, self.down + width)

    def learn(self, not_yet: float | None, down: float) -> None:
        """Take in one stop: the last look at which the VM was not down, if any, and the one at which it was."""
        if down > LONGEST_LEARNT:
            return
        if not_yet is None:
            width = max((self.down or down) - self.not_yet, NARROW)
            not_yet = down - 2 * width
        self.not_yet, self.down = max(0.0, not_yet), down
