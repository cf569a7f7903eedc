"""Decides which events are kept, and who is told of them: the last thousand, and whoever follows.

One who follows and does not read is told that he has missed some, and costs no more than his queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace

from fencebus_schemas.status import EventKind, EventStatus

KEPT = 1000
QUEUE = 1000
"""Events that wait for one reader."""


class Events:
    """The events of one run of the daemon."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._last: deque[EventStatus] = deque(maxlen=KEPT)
        self._number = 0
        self._followers: set[asyncio.Queue[EventStatus]] = set()

    def happened(self, kind: EventKind, text: str, **about: str) -> None:
        """Something has; ``about`` are the fields ``host``, ``vm``, ``name``, ``request``, ``part`` of an event."""
        self.tell([EventStatus(0, self._wall_clock(), kind, text, **about)])

    def tell(self, events: Iterable[EventStatus]) -> None:
        """Number, keep and pass on."""
        for event in events:
            self._number += 1
            numbered = replace(event, number=self._number)
            self._last.append(numbered)
            for queue in self._followers:
                _put(queue, numbered)

    def last(self, most: int) -> tuple[EventStatus, ...]:
        """The last events, oldest first."""
        return tuple(self._last)[-most:] if most else ()

    async def follow(self, after: int | None = None, most: int = 0) -> AsyncGenerator[EventStatus, None]:
        """The last ``most`` kept events, or those that came behind number ``after``; then each as it comes."""
        queue: asyncio.Queue[EventStatus] = asyncio.Queue(QUEUE)
        self._followers.add(queue)
        try:
            kept = self.last(most) if after is None else tuple(each for each in self._last if each.number > after)
            for event in kept:
                yield event
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)


def _put(queue: asyncio.Queue[EventStatus], event: EventStatus) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        lost = replace(event, kind=EventKind.EVENTS_LOST, text="some events were lost: this reader was too slow")
        queue.put_nowait(lost)
    queue.put_nowait(event)
