"""Decides which broker of a list is tried when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle, islice

from fencebus_agent.pauses import SOUND, pauses
from fencebus_schemas.bus_url import Broker

Attempt = Callable[[Broker], Awaitable[bool]]
"""One connection, from its making to its end; True if the broker took us in, for whatever time."""


class Knocking:
    """One client's, at the brokers of its list."""

    def __init__(self, brokers: Sequence[Broker], attempt: Attempt) -> None:
        self._number, self._attempt = len(brokers), attempt
        self._turns = cycle(brokers)

    async def until(self, closed: Callable[[], bool]) -> None:
        """Have a connection made, and another one after its end, until ``closed``."""
        loop = asyncio.get_running_loop()
        waits = pauses()
        while not closed():
            began = loop.time()
            if await self._round(closed) and loop.time() - began > SOUND:
                waits = pauses()
            elif not closed():
                await asyncio.sleep(next(waits))

    async def _round(self, closed: Callable[[], bool]) -> bool:
        """Try each broker once, beginning after the last one, until one takes us in; True if one did."""
        for broker in islice(self._turns, self._number):
            if closed():
                break
            if await self._attempt(broker):
                return True
        return False
