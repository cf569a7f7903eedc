"""KombuBus converts the Bus port into AMQP 0-9-1 on RabbitMQ.

kombu blocks, so it has one thread (kombu_courier); here, on the asyncio loop, messages are handed over to it and taken
from it.  A broker that has not confirmed a command until its deadline may have it all the same; who receives it checks
its age (S12), as with whatever lay in a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from functools import partial

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
)
from fencebus_agent.kombu_courier import Courier, Reports
from fencebus_agent.kombu_handover import Handover
from fencebus_agent.kombu_link import ANSWER, FAREWELL, Hooks, Terms
from fencebus_agent.kombu_outbox import Fate, Outbox, Parcel
from fencebus_agent.kombu_url import parse
from fencebus_agent.kombu_wire import flaw
from fencebus_agent.topics import binding_covers
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

DEFAULTS = Terms()


class KombuBus:
    """The Bus port.  ``url`` names one or more brokers, with commas in between; raises BadBusUrl."""

    def __init__(self, url: str, terms: Terms = DEFAULTS) -> None:
        self._brokers, self._terms = parse(url), terms
        self._name = ",".join(map(str, self._brokers))
        self._own = Address(direct_exchange(terms.domain), f"{terms.client}-{secrets.token_hex(8)}")
        self._sinks: list[tuple[Address, MessageSink]] = []
        self._watchers: list[StateSink] = []
        self._outbox, self._promises = Outbox(), set[asyncio.Future[None]]()
        self._courier: Courier | None = None
        self._connected, self._ended = asyncio.Event(), asyncio.Event()
        self._trouble = "not connected yet"
        self._blocked = self._leaving = self._closed = False
        self._dropped = 0

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
        if self._closed:
            return
        courier = Courier(self._brokers, self._terms, self._own, self._outbox)
        handover = Handover(asyncio.get_running_loop())
        self._ended.clear()
        self._leaving = False
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
        if self._connected.is_set():
            return
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._connected.wait()
        except TimeoutError:
            raise BusUnreachable(self._name, f"no connection until the deadline: {self._trouble}") from None

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.append((address, sink))
        self._want()

    def watch(self, sink: StateSink) -> None:
        """See the port."""
        self._watchers.append(sink)

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """See the port.  An indication that the broker refuses is counted as dropped."""
        self._check(to, message)
        if priority is Priority.INDICATION:
            self._indicate(Parcel(to, message, deadline, priority, None))
        elif deadline.expired:
            raise BusUnreachable(self._name, "the deadline had passed: nothing was sent")
        else:
            await self.wait_connected(deadline)
            await self._command(Parcel(to, message, deadline, priority, asyncio.get_running_loop().create_future()))

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        for promise in tuple(self._promises):
            _break(promise, BusClosed(self._name, "closed"))
        await self._leave()
        self._sinks.clear()
        self._watchers.clear()

    # ---- inside, on the loop

    def _check(self, to: Address, message: BusMessage) -> None:
        if self._closed:
            raise BusClosed(self._name, "closed")
        if message.user_id and any(message.user_id != broker.user for broker in self._brokers):
            raise BusRefused(self._name, f"no message can be sent in the name of {message.user_id!r}")
        if (trouble := flaw(to, message)) is not None:
            raise BusRefused(self._name, trouble)

    def _indicate(self, parcel: Parcel) -> None:
        if self._connected.is_set() and not self._blocked and self._outbox.put(parcel):
            self._look()
        else:
            self._dropped += 1

    async def _command(self, parcel: Parcel) -> None:
        promise = parcel.taken
        assert promise is not None
        self._promises.add(promise)
        self._outbox.put(parcel)
        self._look()
        try:
            async with asyncio.timeout(parcel.deadline.remaining()):
                await promise
        except TimeoutError:
            raise self._too_late(self._outbox.withdraw(parcel)) from None
        finally:
            self._outbox.withdraw(parcel)
            self._promises.discard(promise)

    def _too_late(self, fate: Fate) -> BusError:
        if fate is not Fate.WAITING:
            return BusCongested(self._name, "sent, but not confirmed until the deadline: it may arrive, or not")
        if not self._connected.is_set():
            return BusUnreachable(self._name, f"no connection until the deadline: {self._trouble}")
        full = "the broker is short of memory or disk, and takes nothing"
        return BusCongested(self._name, f"not sent: {full if self._blocked else 'the broker is too slow'}")

    def _want(self) -> None:
        if self._courier is not None:
            self._courier.want([address for address, _ in self._sinks if address.exchange])

    def _look(self) -> None:
        if self._courier is not None:
            self._courier.look()

    async def _leave(self) -> None:
        """Let the thread end; one that hangs in a broken connection's making is left to itself after a while."""
        if self._courier is None:
            return
        self._leaving = True
        self._courier.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._terms.connect_timeout + ANSWER + FAREWELL):
                await self._ended.wait()

    def _on_connected(self) -> None:
        self._blocked = False
        self._connected.set()
        log.info("%s: connected", self._name)
        self._tell(BusState.CONNECTED, "")

    def _on_lost(self, reason: str) -> None:
        self._trouble = reason
        self._connected.clear()
        self._dropped += self._outbox.drop_indications()
        if not self._leaving:  # whoever leaves knows it
            self._tell(BusState.LOST, reason)

    def _on_failed(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("no connection to %s", reason)
        self._trouble = reason

    def _on_blocked(self, on: bool) -> None:
        self._blocked = on
        log.warning("%s: the broker is %s", self._name, "short of memory or disk" if on else "well again")

    def _arrived(self, message: BusMessage) -> None:
        loop = asyncio.get_running_loop()
        for binding, sink in tuple(self._sinks):
            if binding_covers(binding, message.to):
                # Each by itself: what one sink does wrong is no other's loss.
                loop.call_soon(self._hand_over, sink, message)

    def _hand_over(self, sink: MessageSink, message: BusMessage) -> None:
        if not self._closed:
            sink(message)

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        if parcel.taken is None:
            self._dropped += error is not None
        elif error is not None:
            _break(parcel.taken, error)
        elif not parcel.taken.done():
            parcel.taken.set_result(None)

    def _tell(self, state: BusState, reason: str) -> None:
        for watcher in tuple(self._watchers):
            watcher(state, reason)

    # ---- called in the thread

    def _hooks(self, handover: Handover) -> Hooks:
        def arrived(message: BusMessage) -> None:
            if not handover.full:
                handover.give(partial(self._arrived, message))

        def settle(parcel: Parcel, error: BusError | None) -> None:
            self._outbox.settle(parcel)
            handover.give(partial(self._settled, parcel, error))

        return Hooks(arrived, settle, self._outbox.give_back, lambda on: handover.give(partial(self._on_blocked, on)))

    def _reports(self, handover: Handover) -> Reports:
        return Reports(
            connected=partial(handover.give, self._on_connected),
            lost=lambda reason: handover.give(partial(self._on_lost, reason)),
            failed=lambda reason: handover.give(partial(self._on_failed, reason)),
            ended=partial(handover.give, self._ended.set),
        )


def _break(promise: asyncio.Future[None], error: BusError) -> None:
    if not promise.done():
        promise.set_exception(error)
