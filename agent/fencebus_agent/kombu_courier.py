"""Decides who is at a connection: the loop, which reads what has come and writes what waits, or a thread.

py-amqp waits for some answers of the broker.  Then a thread has the connection, and the loop leaves it alone: for a new
binding, before the first message to an exchange, and after a refusal.  No other message needs that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from fencebus_agent.bus import Address, BusError
from fencebus_agent.kombu_link import FAREWELL, LONGEST, Link
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.patience import set_by
from fencebus_agent.worker_threads import WorkerThreads
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

T = TypeVar("T")


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
        if not self._busy and self._trouble is None:
            self._try(self._turn)

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
            if self._trouble is not None:
                raise self._trouble
            await self._supply()
            if beat.expired:
                self._try(self._link.beat)
                beat = Deadline.after(every)
            self.look()
            await set_by(self._wake, beat)
            self._wake.clear()

    async def leave(self, doubt: BusError) -> None:
        """Close the connection, with a word of farewell if nothing is wrong; ``doubt`` is for what is in doubt then."""
        self._busy = True
        try:
            if self._trouble is None:
                await aside(self._threads, self._link.close, self._link.cut, 2 * FAREWELL)
        except Exception:  # as below
            log.debug("no farewell", exc_info=True)
        finally:
            self._link.drop()
            self._link.abandon(doubt)
            if self._first is not None:
                self._outbox.give_back(self._first)

    # ---- inside

    def _try(self, step: Callable[[], None]) -> None:
        self._busy = True  # whoever is called with a message may send one
        try:
            step()
        except Exception as error:  # noqa: BLE001 -- a connection's root: hostile bytes may do anything to a library
            self._trouble = error
            self._wake.set()
        finally:
            self._busy = False

    def _turn(self) -> None:
        self._link.read()
        lacks = self._link.lacks(self._wanted())
        # What was wanted first is bound first: the answer to a message may come by it.
        while not lacks and self._link.takes_more and self._first is None:
            if (parcel := self._outbox.take()) is None:
                break
            if self._link.knows(parcel.to):
                self._publish(parcel)
            else:
                self._first = parcel
        if self._first is not None or lacks:
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
        wanted, first = self._wanted(), self._first
        if first is None and not self._link.lacks(wanted):
            return
        self._busy = True
        try:
            reason = await aside(self._threads, partial(self._wait, wanted, first), self._link.cut, LONGEST)
        except Exception as error:
            self._trouble = error
            raise
        self._first, self._busy = None, False
        if first is not None and reason is not None:
            self._link.refuse(first, reason)
        elif first is not None:
            self._outbox.give_back(first)  # to be taken again, if it is not too late by now (S12)

    # ---- in a thread

    def _wait(self, wanted: Sequence[Address], first: Parcel | None) -> str | None:
        self._link.supply(wanted)
        return None if first is None else self._link.learn(first.to)


async def aside(threads: WorkerThreads, call: Callable[[], T], cut: Callable[[], None], seconds: float) -> T:
    """Have a thread do what waits, for as many seconds at most.  ``cut`` ends whatever it waits for.

    Returns, and raises, only when the thread is done, cancelled or not: nobody else is at the connection before.
    """
    work = threads.submit(call)
    ended: TimeoutError | asyncio.CancelledError | None = None
    while not work.done():
        try:
            async with asyncio.timeout(None if ended else seconds):
                await asyncio.wait({work})
        except (TimeoutError, asyncio.CancelledError) as error:
            ended = error
            cut()
    if ended is None:
        return work.result()
    work.exception()  # of no interest any more, and heard
    raise ended
