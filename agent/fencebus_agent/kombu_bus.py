"""KombuBus converts the Bus port into AMQP 0-9-1 on RabbitMQ, through kombu over a stream of asyncio's.

A broker that has not confirmed a command until its deadline may have it all the same; who receives it checks its age
(S12), as with whatever lay in a queue.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from functools import partial
from typing import Final

from fencebus_agent.bus import (
    Address,
    BusClosed,
    BusError,
    BusMessage,
    BusUnreachable,
    MessageSink,
    Priority,
    StateSink,
    direct_exchange,
)
from fencebus_agent.bus_terms import DEFAULTS, Terms
from fencebus_agent.bus_tls import context_of
from fencebus_agent.flaws import SIGNED, refuse_flawed
from fencebus_agent.knocking import Knocking
from fencebus_agent.kombu_courier import Courier, aside
from fencebus_agent.kombu_link import ANSWER, FAREWELL, LONGEST, Hooks, Link
from fencebus_agent.kombu_stream import Stream, on_loop
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.patience import set_by
from fencebus_agent.promises import Promises
from fencebus_agent.sinks import Sinks
from fencebus_agent.standing import Standing
from fencebus_agent.worker_threads import WorkerThreads
from fencebus_schemas.bus_url import AMQP_0, Broker, brokers
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

IN_DOUBT = "sent, but not confirmed when the connection ended, so it may arrive, or not"


class KombuBus:
    """The Bus port.  ``url`` names one or more brokers, with commas in between; raises BadBusUrl."""

    def __init__(self, url: str, terms: Terms = DEFAULTS) -> None:
        self._brokers, self._terms = brokers(url, AMQP_0), terms
        self.name: Final = ",".join(map(str, self._brokers))
        """The URL without passwords."""
        self.own: Final = Address(direct_exchange(terms.domain), f"{terms.client}-{secrets.token_hex(8)}")
        """A key of the direct exchange, drawn at random."""
        self.dropped = 0
        self._sinks, self._outbox, self._promises = Sinks(), Outbox(), Promises()
        self._standing = Standing(self.name, self._sinks)
        self._courier: Courier | None = None
        self._stream: Stream | None = None
        """Of a connection that is being made."""
        self._ended = asyncio.Event()
        self._blocked = self._closed = False

    async def run(self) -> None:
        """See the port."""
        self._standing.begin()
        self._ended.clear()
        try:
            await Knocking(self._brokers, self._connection).until(lambda: self._closed)
        finally:
            self._ended.set()

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        await self._standing.wait(deadline)

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.add(address, sink)
        if self._courier is not None:
            self._courier.bind()

    def watch(self, sink: StateSink) -> None:
        """See the port."""
        self._sinks.watch(sink)

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """See the port.  An indication that the broker refuses is counted as dropped."""
        if self._closed:
            raise BusClosed(self.name, "closed")
        refuse_flawed(self.name, to, message, (broker.user for broker in self._brokers), SIGNED)
        if priority is Priority.INDICATION:
            self._indicate(Parcel(to, message, deadline, priority, None))
        elif deadline.expired:
            raise BusUnreachable(self.name, "the deadline had passed: nothing was sent")
        else:
            await self._standing.wait(deadline)
            await self._command(Parcel(to, message, deadline, priority, asyncio.get_running_loop().create_future()))

    async def close(self) -> None:
        """See the port.  A connection that is just being made is given up at once."""
        self._closed = True
        self._standing.leave()
        self._promises.break_all(BusClosed(self.name, "closed"))
        self._sinks.close()
        if self._courier is not None:
            self._courier.stop()
            await set_by(self._ended, Deadline.after(ANSWER + FAREWELL))
        elif self._stream is not None:
            self._stream.abort("closed")

    # ---- inside, on the loop

    def _indicate(self, parcel: Parcel) -> None:
        if self._standing.connected and not self._blocked and self._outbox.put(parcel):
            self._look()
        else:
            self.dropped += 1

    async def _command(self, parcel: Parcel) -> None:
        self._outbox.put(parcel)
        self._look()
        if (fate := await self._promises.kept(self._outbox, parcel)) is not None:
            full = "the broker is short of memory or disk, and takes nothing"
            raise self._standing.too_late(fate, full if self._blocked else "")

    def _look(self) -> None:
        if self._courier is not None:
            self._courier.look()

    async def _connection(self, broker: Broker) -> bool:
        """One, from its making to its end; True if the broker took us in."""
        threads = WorkerThreads("kombu", limit=1)
        try:
            courier = await self._linked(broker, threads)
            if courier is not None:
                await self._attend(broker, courier)
            return courier is not None
        finally:
            threads.close()

    async def _linked(self, broker: Broker, threads: WorkerThreads) -> Courier | None:
        """With a queue of its own; None if nothing has come of it."""
        terms, stream = self._terms, Stream(ANSWER, self._look)
        loop = asyncio.get_running_loop()
        self._stream = stream
        try:
            context = context_of(terms.tls) if broker.secure else None
            async with asyncio.timeout(terms.connect_timeout):
                await loop.create_connection(
                    lambda: stream,
                    broker.host,
                    broker.port,
                    ssl=context,
                    server_hostname=broker.host if context else None,
                )
            login = partial(self._login, broker, self._hooks(loop), stream)
            link = await aside(threads, login, partial(stream.abort, "given up"), terms.connect_timeout + LONGEST)
        except Exception as error:  # noqa: BLE001 -- a connection's root: hostile bytes may do anything to a library
            stream.abort("given up")
            self._standing.failed(f"{broker}: {_reason(error)}")
            return None
        except BaseException:
            stream.abort("given up")
            raise
        finally:
            self._stream = None
        return Courier(link, self._outbox, self._wanted, threads)

    async def _attend(self, broker: Broker, courier: Courier) -> None:
        reason = "closed"
        self._courier, self._blocked = courier, False
        self._standing.came()
        try:
            await courier.serve(self._terms.heartbeat / 4)
        except Exception as error:  # as above
            reason = f"{broker}: {_reason(error)}"
            log.debug("%s: the connection ends", broker, exc_info=True)
        except asyncio.CancelledError:
            self._standing.leave()
            raise
        finally:
            try:
                await courier.leave(BusUnreachable(str(broker), f"{IN_DOUBT}: {reason}"))
            finally:
                self._courier = None
                self.dropped += self._outbox.drop_indications()
                self._standing.went(reason)

    def _wanted(self) -> tuple[Address, ...]:
        return tuple(address for address in self._sinks.bindings if address.exchange)

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        self.dropped += self._promises.settle(parcel, error)

    def _block(self, on: bool) -> None:
        self._blocked = on
        log.warning("%s: the broker is %s", self.name, "short of memory or disk" if on else "well again")

    # ---- called on the loop, or in a thread that has the connection for a while

    def _login(self, broker: Broker, hooks: Hooks, stream: Stream) -> Link:
        """Nobody is told of a connection before all that is wanted comes by it: what is sent then would be lost."""
        link = Link(broker, self._terms, self.own, hooks, stream)
        try:
            link.bind(self._wanted())
        except BaseException:
            link.drop()
            raise
        return link

    def _hooks(self, loop: asyncio.AbstractEventLoop) -> Hooks:
        def settle(parcel: Parcel, error: BusError | None) -> None:
            self._outbox.settle(parcel)
            on_loop(loop, partial(self._settled, parcel, error))

        return Hooks(
            arrived=lambda message: on_loop(loop, partial(self._sinks.spread, message)),
            settle=settle,
            unsent=self._outbox.give_back,
            blocked=lambda on: on_loop(loop, partial(self._block, on)),
        )


def _reason(error: Exception) -> str:
    """The error in a line, for people."""
    return " ".join(str(error).split()) or (
        "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    )
