"""Clients of a real RabbitMQ on AMQP 1.0 for the contract of buses: each comes through a gate, which can be shut."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.amqp1_bus import Amqp1Bus
from fencebus_agent.bus import Address, Bus, BusMessage, Priority, direct_exchange
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from tests.hypervisors import eventually, soon
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import Gates, heard_back, running
from tests.server_process import ServerProcess

_made: set[int] = set()


async def make_exchanges(broker: RabbitMq) -> None:
    """AMQP 1.0 has no way to make an exchange, so that somebody on AMQP 0-9-1 has to; once for each start."""
    if broker.server.pid not in _made:
        async with running(KombuBus(broker.url("a"))):
            _made.add(broker.server.pid)


def url(broker: RabbitMq, user: str = "a", password: str | None = None, port: int | None = None) -> str:
    """Where a user finds it: on the port of AMQP 0-9-1."""
    return broker.url(user, password, port).replace("amqp://", "amqp1://")


class Broker(Protocol):
    """What a site needs of a broker."""

    @property
    def port(self) -> int:
        """Where it listens."""

    def url(self, user: str = ..., password: str | None = ..., port: int | None = ...) -> str:
        """Where a user finds it."""

    @property
    def server(self) -> ServerProcess:
        """Its process."""


@dataclass(frozen=True, slots=True)
class QpiddBroker:
    """It lets everybody in, and asks nobody who they are."""

    port: int
    server: ServerProcess

    def url(self, user: str = "", password: str | None = None, port: int | None = None) -> str:
        """Where anybody finds it."""
        del user, password
        return f"amqp://127.0.0.1:{port or self.port}"


class Amqp1Site:
    """A broker with its clients."""

    vouches = False
    """See amqp1_profile.RabbitMq3."""

    def __init__(self, broker: Broker, stack: contextlib.AsyncExitStack) -> None:
        self._broker, self._running = broker, stack
        self._gates = Gates(broker.port, stack)
        self._buses: list[Amqp1Bus] = []

    async def join(self, name: str) -> Bus:
        """See Site."""
        there = self._broker.url(name, port=await self._gates.port(name)).replace("amqp://", "amqp1://")
        bus = Amqp1Bus(there, Terms(client=name, connect_timeout=10.0))
        await self._running.enter_async_context(running(bus))
        self._buses.append(bus)
        return bus

    async def cut(self, name: str) -> None:
        """See Site."""
        self._gates.shut(name, True)
        await eventually(lambda: all(bus._link is None for bus in self._buses if bus._terms.client == name))

    async def mend(self, name: str) -> None:
        """See Site."""
        self._gates.shut(name, False)

    async def clog(self, on: bool) -> None:
        """See Site.  RabbitMQ's plugin takes messages though its memory is full, so that the node has to be stopped; a
        client learns of it from the silence about what it sent.
        """
        self._broker.server.send(signal.SIGSTOP if on else signal.SIGCONT)
        nobody = Address(direct_exchange(), "nobody")
        for bus in self._buses:
            while on and bus._link is not None and not bus._link.stalled:
                await bus.send(nobody, BusMessage(), soon(), Priority.INDICATION)
                await asyncio.sleep(0.05)

    async def settled(self, bus: Bus) -> None:
        """See Site: once what is sent to a last one comes back."""
        await heard_back(bus)


@contextlib.asynccontextmanager
async def amqp1_site(broker: Broker) -> AsyncIterator[Amqp1Site]:
    """The site; it leaves the broker as it was."""
    if isinstance(broker, RabbitMq):
        await make_exchanges(broker)
    async with contextlib.AsyncExitStack() as stack:
        try:
            yield Amqp1Site(broker, stack)
        finally:
            broker.server.send(signal.SIGCONT)
            await stack.aclose()
