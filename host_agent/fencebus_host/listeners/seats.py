"""Decides who has to leave when too many peers have connected and not yet shown who they are.  Pure.

A peer that says nothing costs a descriptor.  A flood of them must not keep others out, so the oldest peer of the
source that has the most goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST_SEATS = 512

Leave = Callable[[], object]


class Seats:
    """The peers that have not yet authenticated."""

    def __init__(self, most: int = MOST_SEATS) -> None:
        self._most = most
        self._count = 0
        self._sources: dict[str, OrderedDict[object, Leave]] = {}

    def __len__(self) -> int:
        return self._count

    def take(self, source: str, seat: object, leave: Leave) -> str | None:
        """Give ``seat`` to a new peer; ``leave`` is called if it must go.  Returns the source that lost a peer for
        it, if any.
        """
        evicted = self._evict() if self._count >= self._most else None
        self._sources.setdefault(source, OrderedDict())[seat] = leave
        self._count += 1
        return evicted

    def give_up(self, source: str, seat: object) -> None:
        """The peer has authenticated or gone; idempotent."""
        seats = self._sources.get(source)
        if seats is None or seats.pop(seat, None) is None:
            return
        self._count -= 1
        if not seats:
            del self._sources[source]

    def _evict(self) -> str:
        source = max(self._sources, key=lambda name: len(self._sources[name]))
        seat, leave = next(iter(self._sources[source].items()))
        self.give_up(source, seat)
        leave()
        return source
