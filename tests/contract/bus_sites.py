"""Where the contract of buses is tried: for each bus a broker, or what stands in its place, and what may be done to it.

A bus joins by a site of its own in SITES: something that makes clients, breaks their connections and stops taking
messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from fencebus_agent.bus import (
    Bus,
)
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from tests.amqp1_site import QpiddBroker, amqp1_site
from tests.peers_site import peers_site
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import rabbit_site, running


class Site(Protocol):
    """A broker, and what a test may do to it."""

    vouches: bool
    """True if the broker vouches for the users of its clients."""

    async def join(self, name: str) -> Bus:
        """A client that is connected, under a user of the same name; it ends with the site."""

    async def cut(self, name: str) -> None:
        """Its connection breaks and does not come back."""

    async def mend(self, name: str) -> None:
        """It may connect again."""

    async def clog(self, on: bool) -> None:
        """The broker takes nothing more from anybody, or takes it again."""

    async def settled(self, bus: Bus) -> None:
        """Return once all subscriptions of a client are known: whatever is sent to one comes."""


class MemorySite:
    """The broker in memory."""

    vouches = True

    def __init__(self, running: contextlib.AsyncExitStack) -> None:
        self._broker, self._running = MemoryBroker(), running

    async def join(self, name: str) -> Bus:
        """See Site."""
        bus = MemoryBus(self._broker, name, user=name)
        await self._running.enter_async_context(running(bus))
        return bus

    async def cut(self, name: str) -> None:
        """See Site."""
        self._broker.bar(name)

    async def mend(self, name: str) -> None:
        """See Site."""
        self._broker.admit(name)

    async def clog(self, on: bool) -> None:
        """See Site."""
        self._broker.congested = on

    async def settled(self, bus: Bus) -> None:
        """See Site.  It knows them at once."""


@contextlib.asynccontextmanager
async def memory_site(_request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """The broker in memory, with its clients."""
    async with contextlib.AsyncExitStack() as stack:
        yield MemorySite(stack)


def rabbitmq_site(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Site, bool | None]:
    """KombuBus on a real RabbitMQ."""
    broker = request.getfixturevalue("rabbitmq")
    assert isinstance(broker, RabbitMq)
    return rabbit_site(broker)


def amqp1_on_rabbitmq(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Site, bool | None]:
    """Amqp1Bus on the same RabbitMQ."""
    broker = request.getfixturevalue("rabbitmq")
    assert isinstance(broker, RabbitMq)
    return amqp1_site(broker)


def amqp1_on_qpidd(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Site, bool | None]:
    """Amqp1Bus on a real qpidd, where there is one."""
    broker = request.getfixturevalue("qpidd")
    assert isinstance(broker, QpiddBroker)
    return amqp1_site(broker)


def direct_links(_request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Site, bool | None]:
    """PeersBus, without a broker."""
    return peers_site()


SITES: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Site, bool | None]]] = {
    "memory": memory_site,
    "rabbitmq": rabbitmq_site,
    "amqp1": amqp1_on_rabbitmq,
    "qpidd": amqp1_on_qpidd,
    "peers": direct_links,
}
GROUPS = {name: [pytest.mark.xdist_group("rabbitmq")] for name in ("rabbitmq", "amqp1", "qpidd")}
"""Sites whose broker takes long to start, so that one process has all of their tests."""
