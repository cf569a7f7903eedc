"""MemoryBus converts the Bus port into calls of a broker in memory: hosts in one process, for demo and tests."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import replace
from typing import Final

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
from fencebus_agent.patience import set_by
from fencebus_agent.sinks import Sinks
from fencebus_schemas.deadline import Deadline

QUEUE_LENGTH = 10_000
"""Messages that wait for a client that does not read; of more the oldest are lost."""


class MemoryBus:
    """The Bus port.  ``name`` is the host's, the same after a restart; the broker vouches for ``user``."""

    def __init__(self, broker: MemoryBroker, name: str, user: str = "") -> None:
        self._broker, self._user = broker, user
        self.name: Final = name
        """The client's name at this broker."""
        self.own: Final = Address(direct_exchange(), f"fencebus-{name}-{secrets.token_hex(8)}")
        """A key of the direct exchange, drawn at random."""
        self.dropped = 0
        self._sinks = Sinks()
        self._queue: deque[tuple[BusMessage, float | None]] = deque(maxlen=QUEUE_LENGTH)
        self._connected, self._lost = asyncio.Event(), asyncio.Event()
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

    async def run(self) -> None:
        """See the port."""
        try:
            while not self._closed:
                await self._broker.admission(self.name)
                self._connect()
                await self._lost.wait()
        finally:
            self.lose("stopped")

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port."""
        if not self._connected.is_set() and not await set_by(self._connected, deadline):
            raise BusUnreachable(self._broker.name, "no connection until the deadline")

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.add(address, sink)

    def watch(self, sink: StateSink) -> None:
        """See the port."""
        self._sinks.watch(sink)

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
            self.dropped += 1
            return
        self._broker.route(self.name, replace(message, to=to, user_id=self._user))

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        self.lose("closed")
        self._sinks.close()

    # ---- what the broker calls

    def wants(self, to: Address) -> bool:
        """See memory_broker.Client."""
        return self._sinks.want(to)

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
            self._sinks.tell(BusState.LOST, reason)

    # ---- inside

    def _connect(self) -> None:
        if self._closed:
            return
        self._lost.clear()
        self._broker.join(self)
        self._connected.set()
        self._sinks.tell(BusState.CONNECTED, "")

    async def _wait_for_room(self, deadline: Deadline) -> None:
        """Until it is connected and the broker takes something, both at one moment."""
        while not deadline.expired:
            await self.wait_connected(deadline)
            if not self._broker.congested:
                return
            if not await set_by(self._broker.room, deadline):
                raise BusCongested(self._broker.name, "no room until the deadline")
        raise BusUnreachable(self._broker.name, "the deadline had passed: nothing was sent")

    def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and not self._stalled:
            message, expires = self._queue.popleft()
            if expires is None or loop.time() < expires:
                self._sinks.spread(message)
