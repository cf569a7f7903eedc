"""KombuBus converts the Bus port into AMQP 0-9-1 on RabbitMQ.

kombu blocks, so it has one thread (kombu_courier); here, on the asyncio loop, messages are handed over to it and taken
from it.  A broker that has not confirmed a command until its deadline may have it all the same; who receives it checks
its age (S12), as with whatever lay in a queue.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
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
from fencebus_agent.flaws import SIGNED, refuse_flawed
from fencebus_agent.kombu_courier import Courier, Reports
from fencebus_agent.kombu_handover import Handover
from fencebus_agent.kombu_link import ANSWER, FAREWELL, Hooks
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.patience import set_by
from fencebus_agent.promises import Promises
from fencebus_agent.sinks import Sinks
from fencebus_agent.standing import Standing
from fencebus_schemas.bus_url import AMQP_0, brokers
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)


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
        self._ended = asyncio.Event()
        self._blocked = self._closed = False

    async def run(self) -> None:
        """See the port."""
        if self._closed:
            return
        courier = Courier(self._brokers, self._terms, self.own, self._outbox)
        handover = Handover(asyncio.get_running_loop())
        self._ended.clear()
        self._standing.begin()
        self._courier = courier
        self._want()
        threading.Thread(
            target=courier.run, args=(self._hooks(handover), self._reports(handover)), name="kombu", daemon=True
        ).start()
        try:
            await self._ended.wait()
        finally:
            await self._leave()

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        await self._standing.wait(deadline)

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.add(address, sink)
        self._want()

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
        """See the port."""
        self._closed = True
        self._promises.break_all(BusClosed(self.name, "closed"))
        self._sinks.close()
        await self._leave()

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

    def _want(self) -> None:
        if self._courier is not None:
            self._courier.want([address for address in self._sinks.bindings if address.exchange])

    def _look(self) -> None:
        if self._courier is not None:
            self._courier.look()

    async def _leave(self) -> None:
        """Let the thread end; one that hangs in a broken connection's making is left to itself after a while."""
        if self._courier is None:
            return
        self._standing.leave()
        self._courier.stop()
        await set_by(self._ended, Deadline.after(self._terms.connect_timeout + ANSWER + FAREWELL))

    def _on_connected(self) -> None:
        self._blocked = False
        self._standing.came()

    def _on_lost(self, reason: str) -> None:
        self.dropped += self._outbox.drop_indications()
        self._standing.went(reason)

    def _on_blocked(self, on: bool) -> None:
        self._blocked = on
        log.warning("%s: the broker is %s", self.name, "short of memory or disk" if on else "well again")

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        self.dropped += self._promises.settle(parcel, error)

    # ---- called in the thread

    def _hooks(self, handover: Handover) -> Hooks:
        def arrived(message: BusMessage) -> None:
            if not handover.full:
                handover.give(partial(self._sinks.spread, message))

        def settle(parcel: Parcel, error: BusError | None) -> None:
            self._outbox.settle(parcel)
            handover.give(partial(self._settled, parcel, error))

        return Hooks(arrived, settle, self._outbox.give_back, lambda on: handover.give(partial(self._on_blocked, on)))

    def _reports(self, handover: Handover) -> Reports:
        return Reports(
            connected=partial(handover.give, self._on_connected),
            lost=lambda reason: handover.give(partial(self._on_lost, reason)),
            failed=lambda reason: handover.give(partial(self._standing.failed, reason)),
            ended=partial(handover.give, self._ended.set),
        )
