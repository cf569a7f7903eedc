"""Amqp1Bus converts the Bus port into AMQP 1.0, through proton's engine on the asyncio loop, with no thread.

A broker that has not confirmed a command until its deadline may have it all the same; who receives it checks its age
(S12), as with whatever lay in a queue.
"""

from __future__ import annotations

import asyncio
import logging
import secrets

from fencebus_agent.amqp1_link import BrokerLink, Hooks, Terms
from fencebus_agent.amqp1_message import flaw
from fencebus_agent.amqp1_pauses import SOUND, pauses
from fencebus_agent.amqp1_promises import Promises
from fencebus_agent.amqp1_sinks import Sinks
from fencebus_agent.amqp1_speaking import MOST_PLACES, Boxes
from fencebus_agent.amqp1_url import Endpoint, greeting_of, parse, tls_context
from fencebus_agent.bus import (
    Address,
    BusClosed,
    BusCongested,
    BusError,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    MessageSink,
    Priority,
    StateSink,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.kombu_outbox import Fate, Outbox, Parcel
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

DEFAULTS = Terms()


class Amqp1Bus:
    """The Bus port.  ``url`` names one or more brokers, with commas in between; raises BadBusUrl."""

    def __init__(self, url: str, terms: Terms = DEFAULTS) -> None:
        self._brokers, self._terms = parse(url), terms
        self._name = ",".join(map(str, self._brokers))
        self._own = Address(direct_exchange(terms.domain), f"{terms.client}-{secrets.token_hex(8)}")
        self._sinks, self._promises = Sinks(), Promises()
        self._boxes = Boxes((self._own, Address(topic_exchange(terms.domain), "")))
        self._link: BrokerLink | None = None
        self._connected = asyncio.Event()
        self._trouble = "not connected yet"
        self._closed = False
        self._dropped = 0
        self._turn = 0

    @property
    def name(self) -> str:
        """The URL without passwords."""
        return self._name

    @property
    def own(self) -> Address:
        """A key of the direct exchange, drawn at random."""
        return self._own

    @property
    def dropped(self) -> int:
        """See the port."""
        return self._dropped

    async def run(self) -> None:
        """See the port."""
        loop = asyncio.get_running_loop()
        waits = pauses()
        while not self._closed:
            began = loop.time()
            if await self._round() and loop.time() - began > SOUND:
                waits = pauses()
            else:
                await asyncio.sleep(next(waits))

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        if self._connected.is_set():
            return
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._connected.wait()
        except TimeoutError:
            raise BusUnreachable(self._name, f"no connection until the deadline: {self._trouble}") from None

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
            raise BusUnreachable(self._name, "the deadline had passed: nothing was sent")
        else:
            await self.wait_connected(deadline)
            await self._command(
                box, Parcel(to, message, deadline, priority, asyncio.get_running_loop().create_future())
            )

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        self._promises.break_all(BusClosed(self._name, "closed"))
        if self._link is not None:
            await self._link.leave()
        self._sinks.clear()

    # ---- inside

    async def _round(self) -> bool:
        """Try each broker once, beginning after the last one; True if one took us in, for whatever time."""
        for _ in self._brokers:
            broker = self._brokers[self._turn % len(self._brokers)]
            self._turn += 1
            try:
                link = await self._linked(broker)
            except (BusError, OSError, TimeoutError) as error:
                self._failed(f"{broker}: {_reason(error)}" if not isinstance(error, BusError) else str(error))
            else:
                await self._attend(link)
                return True
        return False

    async def _linked(self, broker: Endpoint) -> BrokerLink:
        terms = self._terms
        greeting = greeting_of(broker, terms.tls, f"{terms.client}-{secrets.token_hex(4)}", 2 * terms.heartbeat)
        link = BrokerLink(
            str(broker), greeting, self._wanted, self._boxes, Hooks(self._sinks.hand, self._settled, self._lost)
        )
        context = tls_context(broker, terms.tls)
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
            self._failed(link.lost.result())
            return
        self._link = link
        self._connected.set()
        log.info("%s: connected", self._name)
        self._sinks.tell(BusState.CONNECTED, "")
        try:
            await asyncio.shield(link.lost)
        finally:
            self._connected.clear()
            self._link = None
            await link.leave()

    def _wanted(self) -> tuple[Address, ...]:
        bindings = (self._own, *self._sinks.bindings)
        return tuple(binding for binding in dict.fromkeys(bindings) if binding.exchange)

    def _checked(self, to: Address, message: BusMessage) -> Outbox:
        """Where it is to wait; raises what is wrong with it."""
        if self._closed:
            raise BusClosed(self._name, "closed")
        if message.user_id and any(message.user_id != broker.user for broker in self._brokers):
            raise BusRefused(self._name, f"no message can be sent in the name of {message.user_id!r}")
        if (trouble := flaw(to, message)) is not None:
            raise BusRefused(self._name, trouble)
        if (box := self._boxes.of(to)) is None:
            raise BusRefused(self._name, f"there is something under way to {MOST_PLACES} exchanges already")
        return box

    def _indicate(self, box: Outbox, parcel: Parcel) -> None:
        if self._link is not None and not self._link.stalled and box.put(parcel):
            self._link.push(parcel.to)
        else:
            self._dropped += 1

    async def _command(self, box: Outbox, parcel: Parcel) -> None:
        box.put(parcel)
        if self._link is not None:
            self._link.push(parcel.to)
        try:
            await self._promises.kept(parcel)
        except TimeoutError:
            raise self._too_late(box.withdraw(parcel)) from None
        finally:
            box.withdraw(parcel)

    def _too_late(self, fate: Fate) -> BusError:
        if fate is not Fate.WAITING:
            return BusCongested(self._name, "sent, but not confirmed until the deadline: it may arrive, or not")
        if self._link is None:
            return BusUnreachable(self._name, f"no connection until the deadline: {self._trouble}")
        full = "the broker says nothing about what it was given before"
        return BusCongested(self._name, f"not sent: {full if self._link.stalled else 'the broker is too slow'}")

    def _lost(self, reason: str) -> None:
        if self._link is None:
            return
        self._trouble, self._link = reason, None
        self._connected.clear()
        self._dropped += self._boxes.forget()
        if not self._closed:  # whoever leaves knows it
            self._sinks.tell(BusState.LOST, reason)

    def _failed(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("no connection to %s", reason)
        self._trouble = reason

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        if parcel.taken is None:
            self._dropped += error is not None
        else:
            self._promises.settle(parcel.taken, error)


def _reason(error: Exception) -> str:
    """The error in a line, for people."""
    return " ".join(str(error).split()) or ("no answer in time" if isinstance(error, TimeoutError) else "no connection")
