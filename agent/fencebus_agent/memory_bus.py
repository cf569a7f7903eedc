"""MemoryBus converts the Bus port into calls of a broker in memory: hosts in one process, for demo and tests."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import replace

from fencebus_agent.bus import (
    Address,
    BusClosed,
    BusCongested,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    MessageSink,
    Priority,
    StateSink,
    direct_exchange,
)
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.topics import binding_covers
from fencebus_schemas.deadline import Deadline

QUEUE_LENGTH = 10_000
"""Messages that wait for a client that does not read; of more the oldest are lost."""


class MemoryBus:
    """The Bus port.  ``name`` is the host's, the same after a restart; the broker vouches for ``user``."""

    def __init__(self, broker: MemoryBroker, name: str, user: str = "") -> None:
        self._broker, self._name, self._user = broker, name, user
        self._own = Address(direct_exchange(), f"fencebus-{name}-{secrets.token_hex(8)}")
        self._sinks: list[tuple[Address, MessageSink]] = []
        self._watchers: list[StateSink] = []
        self._queue: deque[tuple[BusMessage, float | None]] = deque(maxlen=QUEUE_LENGTH)
        self._connected, self._lost = asyncio.Event(), asyncio.Event()
        self._dropped = 0
        self._closed = False
        self._stalled = False

    # ---- knobs

    @property
    def stalled(self) -> bool:
        """True: it reads nothing, as if stopped; what comes waits in its queue at the broker, and expires there."""
        return self._stalled

    @stalled.setter
    def stalled(self, on: bool) -> None:
        self._stalled = on
        if not on:
            self._drain()

    # ---- the port

    @property
    def name(self) -> str:
        """The client's name at this broker."""
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
        try:
            while not self._closed:
                await self._broker.admission(self._name)
                self._connect()
                await self._lost.wait()
        finally:
            self.lose("stopped")

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        if self._connected.is_set():
            return
        try:
            await asyncio.wait_for(self._connected.wait(), deadline.remaining())
        except TimeoutError:
            raise BusUnreachable(self._broker.name, "no connection until the deadline") from None

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.append((address, sink))

    def watch(self, sink: StateSink) -> None:
        """See the port."""
        self._watchers.append(sink)

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """See the port."""
        if self._closed:
            raise BusClosed(self._broker.name, "closed")
        self._broker.check(to)
        if message.user_id not in ("", self._user):
            raise BusRefused(self._broker.name, f"{self._user!r} claims to be {message.user_id!r}")
        if priority is Priority.COMMAND:
            await self._wait_for_room(deadline)
        elif not self._connected.is_set() or self._broker.congested:
            self._dropped += 1
            return
        self._broker.route(self._name, replace(message, to=to, user_id=self._user))

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        self.lose("closed")
        self._sinks.clear()
        self._watchers.clear()

    # ---- what the broker calls

    def wants(self, to: Address) -> bool:
        """See memory_broker.Client."""
        return any(binding_covers(binding, to) for binding, _ in self._sinks)

    def arrive(self, message: BusMessage) -> None:
        """See memory_broker.Client."""
        expires = None if message.ttl is None else asyncio.get_running_loop().time() + message.ttl
        self._queue.append((message, expires))
        if not self._stalled:
            asyncio.get_running_loop().call_soon(self._drain)

    def lose(self, reason: str) -> None:
        """See memory_broker.Client."""
        self._broker.leave(self)
        self._queue.clear()
        self._lost.set()
        if self._connected.is_set():
            self._connected.clear()
            self._tell(BusState.LOST, reason)

    # ---- inside

    def _connect(self) -> None:
        if self._closed:
            return
        self._lost.clear()
        self._broker.join(self)
        self._connected.set()
        self._tell(BusState.CONNECTED, "")

    async def _wait_for_room(self, deadline: Deadline) -> None:
        """Until it is connected and the broker takes something, both at one moment."""
        while not deadline.expired:
            await self.wait_connected(deadline)
            if not self._broker.congested:
                return
            try:
                await asyncio.wait_for(self._broker.room(), deadline.remaining())
            except TimeoutError:
                raise BusCongested(self._broker.name, "no room until the deadline") from None
        raise BusUnreachable(self._broker.name, "the deadline had passed: nothing was sent")

    def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and not self._stalled:
            message, expires = self._queue.popleft()
            if expires is not None and loop.time() >= expires:
                continue
            for binding, sink in tuple(self._sinks):
                if binding_covers(binding, message.to):
                    # Each by itself: what one sink does wrong is no other's loss.
                    loop.call_soon(self._hand_over, sink, message)

    def _hand_over(self, sink: MessageSink, message: BusMessage) -> None:
        if not self._closed:
            sink(message)

    def _tell(self, state: BusState, reason: str) -> None:
        for watcher in tuple(self._watchers):
            watcher(state, reason)
