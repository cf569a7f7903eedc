"""Decides who is at a connection: the loop, which reads what has come and writes what waits, or a thread.

py-amqp waits for some answers of the broker.  Then a thread has the connection, and the loop leaves it alone: for a new
binding, the first message to an exchange, and after a refusal.  No other message needs that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fencebus_agent.bus import Address, BusError
from fencebus_agent.kombu_link import Link
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.patience import set_by
from fencebus_agent.worker_threads import WorkerThreads
from fencebus_schemas.deadline import Deadline


class Courier:
    """One connection, from when it is ready to its end.  Everything here is for the loop."""

    def __init__(
        self, link: Link, outbox: Outbox, wanted: Callable[[], Sequence[Address]], threads: WorkerThreads
    ) -> None:
        """``wanted``: what is sent to these is to come."""
        self._link, self._outbox, self._wanted, self._threads = link, outbox, wanted, threads
        self._first: Parcel | None = None
        """For an exchange that is not known yet."""
        self._busy = self._stopping = False
        self._trouble: Exception | None = None
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Something has come, or is in the outbox, or there is room again."""
        if self._busy or self._trouble is not None:
            return
        self._busy = True  # whoever is called with a message may send one
        self._try(self._turn)
        self._busy = False

    def bind(self) -> None:
        """More is wanted."""
        self._wake.set()

    def stop(self) -> None:
        """End, soon."""
        self._stopping = True
        self._wake.set()

    async def serve(self, every: float) -> None:
        """Until ``stop``; raises what ends the connection.  A heartbeat is looked for ``every`` so many seconds."""
        beat = Deadline.after(every)
        while not self._stopping:
            await self._supply()
            if beat.expired:
                self._try(self._link.beat)
                beat = Deadline.after(every)
            self.look()
            if self._trouble is not None:
                raise self._trouble
            await set_by(self._wake, beat)
            self._wake.clear()

    async def leave(self, doubt: BusError) -> None:
        """Close the connection, with a word of farewell if nothing is wrong; ``doubt`` is for what is in doubt then."""
        self._busy = True
        if self._trouble is None:
            await self._threads.submit(self._link.close)
        self._link.drop()
        self._link.abandon(doubt)
        if self._first is not None:
            self._outbox.give_back(self._first)

    # ---- inside

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 -- a connection's root: hostile bytes may do anything to a library
            self._trouble = error
            self._wake.set()

    def _turn(self) -> None:
        self._link.read()
        while self._link.takes_more and self._first is None and (parcel := self._outbox.take()) is not None:
            if self._link.knows(parcel.to):
                self._publish(parcel)
            else:
                self._first = parcel
        if self._first is not None or self._link.lacks(self._wanted()):
            self._wake.set()
        elif self._link.pending:
            asyncio.get_running_loop().call_soon(self.look)

    def _publish(self, parcel: Parcel) -> None:
        try:
            self._link.publish(parcel)
        except BaseException:
            self._outbox.give_back(parcel)
            raise

    async def _supply(self) -> None:
        """Have a thread do what waits for the broker."""
        wanted = self._wanted()
        if self._first is None and not self._link.lacks(wanted):
            return
        self._busy = True
        try:
            await self._threads.submit(partial(self._wait, wanted))
        except Exception as error:
            self._trouble = error
            raise
        self._busy = False

    # ---- in a thread

    def _wait(self, wanted: Sequence[Address]) -> None:
        self._link.supply(wanted)
        if self._first is not None:
            self._link.publish(self._first)
            self._first = None
