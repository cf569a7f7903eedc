"""Promises holds those who wait for the bus to take a command, and decides who hears what."""

from __future__ import annotations

import asyncio

from fencebus_agent.bus import BusError
from fencebus_agent.kombu_outbox import Parcel

Taken = asyncio.Future[None]


class Promises:
    """Each is kept, broken, or out of time."""

    def __init__(self) -> None:
        self._open: set[Taken] = set()

    async def kept(self, parcel: Parcel) -> None:
        """Return once a command is taken; raises BusError, and TimeoutError at its deadline."""
        assert parcel.taken is not None
        self._open.add(parcel.taken)
        try:
            async with asyncio.timeout(parcel.deadline.remaining()):
                await parcel.taken
        finally:
            self._open.discard(parcel.taken)

    def settle(self, taken: Taken, error: BusError | None) -> None:
        """It is taken, or not; nothing if nobody waits any more."""
        if taken.done():
            return
        if error is None:
            taken.set_result(None)
        else:
            taken.set_exception(error)

    def break_all(self, error: BusError) -> None:
        """Nothing comes of any of them."""
        for taken in tuple(self._open):
            self.settle(taken, error)
