"""Amqp1Bus converts the Bus port into AMQP 1.0, through proton's engine on the asyncio loop, with no thread.

A broker that has not confirmed a command until its deadline may have it all the same; who receives it checks its age
(S12), as with whatever lay in a queue.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_login import greeting_of
from fencebus_agent.amqp1_speaking import MOST_PLACES, Boxes
from fencebus_agent.bus import (
    Address,
    BusClosed,
    BusError,
    BusMessage,
    BusRefused,
    BusUnreachable,
    MessageSink,
    Priority,
    StateSink,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.bus_terms import DEFAULTS, Terms
from fencebus_agent.bus_tls import context_of
from fencebus_agent.flaws import UNSIGNED, refuse_flawed
from fencebus_agent.knocking import Knocking
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.promises import Promises
from fencebus_agent.sinks import Sinks
from fencebus_agent.standing import Standing
from fencebus_schemas.bus_url import AMQP_1, Broker, brokers
from fencebus_schemas.deadline import Deadline


class Amqp1Bus:
    """The Bus port.  ``url`` names one or more brokers, with commas in between; raises BadBusUrl."""

    def __init__(self, url: str, terms: Terms = DEFAULTS) -> None:
        self._brokers, self._terms = brokers(url, AMQP_1), terms
        self.name: Final = ",".join(map(str, self._brokers))
        """The URL without passwords."""
        self.own: Final = Address(direct_exchange(terms.domain), f"{terms.client}-{secrets.token_hex(8)}")
        """A key of the direct exchange, drawn at random."""
        self.dropped = 0
        self._sinks, self._promises = Sinks(), Promises()
        self._standing = Standing(self.name, self._sinks)
        self._boxes = Boxes((self.own, Address(topic_exchange(terms.domain), "")))
        self._link: BrokerLink | None = None
        self._closed = False

    async def run(self) -> None:
        """See the port."""
        self._standing.begin()
        await Knocking(self._brokers, self._connection).until(lambda: self._closed)

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        await self._standing.wait(deadline)

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.add(address, sink)
        if self._link is not None:
            self._link.bind()

    def watch(self, sink: StateSink) -> None:
        """See the port."""
        self._sinks.watch(sink)

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """See the port.  An indication that the broker refuses is counted as dropped."""
        box = self._checked(to, message)
        if priority is Priority.INDICATION:
            self._indicate(box, Parcel(to, message, deadline, priority, None))
        elif deadline.expired:
            raise BusUnreachable(self.name, "the deadline had passed: nothing was sent")
        else:
            await self._standing.wait(deadline)
            promise = asyncio.get_running_loop().create_future()
            await self._command(box, Parcel(to, message, deadline, priority, promise))

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        self._standing.leave()
        self._promises.break_all(BusClosed(self.name, "closed"))
        self._sinks.close()
        if self._link is not None:
            await self._link.leave()

    # ---- inside

    async def _connection(self, broker: Broker) -> bool:
        """One, from its making to its end; True if the broker took us in."""
        try:
            link = await self._linked(broker)
        except (BusError, OSError, TimeoutError) as error:
            said = str(error) if isinstance(error, BusError) else f"{broker}: {_reason(error)}"
            self._standing.failed(said)
            return False
        await self._attend(link)
        return True

    async def _linked(self, broker: Broker) -> BrokerLink:
        terms = self._terms
        greeting = greeting_of(broker, terms.tls, f"{terms.client}-{secrets.token_hex(4)}", 2 * terms.heartbeat)
        link = BrokerLink(
            str(broker), greeting, self._wanted, self._boxes, Hooks(self._sinks.hand, self._settled, self._lost)
        )
        context = context_of(terms.tls) if broker.secure else None
        server = broker.host if context else None
        try:
            async with asyncio.timeout(terms.connect_timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: link.engine, broker.host, broker.port, ssl=context, server_hostname=server
                )
                await link.ready
        except BaseException:
            link.engine.drop("given up")
            link.ready.cancel()
            raise
        return link

    async def _attend(self, link: BrokerLink) -> None:
        if link.lost.done():
            self._standing.failed(link.lost.result())
            return
        self._link = link
        self._standing.came()
        try:
            await asyncio.shield(link.lost)
        finally:
            if self._link is not None:
                self._link = None
                self._standing.leave()
            await link.leave()

    def _wanted(self) -> tuple[Address, ...]:
        bindings = (self.own, *self._sinks.bindings)
        return tuple(binding for binding in dict.fromkeys(bindings) if binding.exchange)

    def _checked(self, to: Address, message: BusMessage) -> Outbox:
        """Where it is to wait; raises what is wrong with it."""
        if self._closed:
            raise BusClosed(self.name, "closed")
        refuse_flawed(self.name, to, message, (broker.user for broker in self._brokers), UNSIGNED)
        if (box := self._boxes.of(to)) is None:
            raise BusRefused(self.name, f"there is something under way to {MOST_PLACES} exchanges already")
        return box

    def _indicate(self, box: Outbox, parcel: Parcel) -> None:
        if self._link is not None and not self._link.stalled and box.put(parcel):
            self._link.push(parcel.to)
        else:
            self.dropped += 1

    async def _command(self, box: Outbox, parcel: Parcel) -> None:
        box.put(parcel)
        if self._link is not None:
            self._link.push(parcel.to)
        if (fate := await self._promises.kept(box, parcel)) is not None:
            stalled = self._link is not None and self._link.stalled
            silent = "the broker says nothing about what it was given before"
            raise self._standing.too_late(fate, silent if stalled else "")

    def _lost(self, reason: str) -> None:
        if self._link is not None:
            self._link = None
            self.dropped += self._boxes.forget()
            self._standing.went(reason)

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        self.dropped += self._promises.settle(parcel, error)


def _reason(error: Exception) -> str:
    """The error in a line, for people."""
    return " ".join(str(error).split()) or ("no answer in time" if isinstance(error, TimeoutError) else "no connection")
