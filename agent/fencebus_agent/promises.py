"""Promises holds those who wait for the bus to take a command, and decides who hears what."""

from __future__ import annotations

import asyncio

from fencebus_agent.bus import BusError
from fencebus_agent.outbox import Fate, Outbox, Parcel

Taken = asyncio.Future[None]


class Promises:
    """Each is kept, broken, or out of time."""

    def __init__(self) -> None:
        self._open: set[Taken] = set()

    async def kept(self, box: Outbox, parcel: Parcel) -> Fate | None:
        """Return once a command is taken; raises BusError.  At its deadline the outbox gives it up, and what had become
        of it by then is returned.
        """
        assert parcel.taken is not None
        self._open.add(parcel.taken)
        try:
            async with asyncio.timeout(parcel.deadline.remaining()):
                await parcel.taken
        except TimeoutError:
            return box.withdraw(parcel)
        finally:
            box.withdraw(parcel)
            self._open.discard(parcel.taken)
        return None

    def settle(self, parcel: Parcel, error: BusError | None) -> bool:
        """It is taken, or not; nothing if nobody waits any more.  True if an indication is lost."""
        if parcel.taken is None:
            return error is not None
        _end(parcel.taken, error)
        return False

    def break_all(self, error: BusError) -> None:
        """Nothing comes of any of them."""
        for taken in tuple(self._open):
            _end(taken, error)


def _end(taken: Taken, error: BusError | None) -> None:
    if taken.done():
        return
    if error is None:
        taken.set_result(None)
    else:
        taken.set_exception(error)
