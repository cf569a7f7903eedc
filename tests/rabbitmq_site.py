"""Clients of a real RabbitMQ for the contract of buses: each comes through a gate of its own, which can be shut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fencebus_agent.bus import Address, Bus, BusMessage, BusState, Priority, direct_exchange, topic_exchange
from fencebus_agent.kombu_bus import KombuBus
from tests.hypervisors import eventually, soon
from tests.rabbitmq import RabbitMq


class Gate:
    """A TCP port in front of another one."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._shut = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def shut(self, on: bool) -> None:
        """Shut: whoever is inside is cut off, and nobody comes in."""
        self._shut = on
        if on:
            for writer in tuple(self._writers):
                writer.transport.abort()

    async def close(self) -> None:
        """Gone."""
        self.shut(True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # nobody is behind it now
            writer.transport.abort()
            return
        if self._shut:  # since then
            writer.transport.abort()
            back.transport.abort()
            return
        async with asyncio.TaskGroup() as ways:
            for source, sink in ((reader, back), (there, writer)):
                self._writers.add(sink)
                ways.create_task(self._pass_on(source, sink))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)


class Gates:
    """One for each client of a broker, by the client's name; they end with the stack."""

    def __init__(self, target: int, stack: contextlib.AsyncExitStack) -> None:
        self._target, self._stack = target, stack
        self._gates: dict[str, Gate] = {}
        self._ports: dict[str, int] = {}

    async def port(self, name: str) -> int:
        """Where this client comes in."""
        if name not in self._gates:
            gate = self._gates[name] = Gate(self._target)
            self._ports[name] = await gate.open()
            self._stack.push_async_callback(gate.close)
        return self._ports[name]

    def shut(self, name: str, on: bool) -> None:
        """See Gate."""
        self._gates[name].shut(on)


class RabbitSite:
    """A RabbitMQ with its clients."""

    vouches = True

    def __init__(self, broker: RabbitMq, running: contextlib.AsyncExitStack) -> None:
        self._broker, self._running = broker, running
        self._gates = Gates(broker.port, running)
        self._buses: list[KombuBus] = []
        self._states: dict[str, BusState] = {}

    async def join(self, name: str) -> Bus:
        """See Site."""
        bus = KombuBus(self._broker.url(name, port=await self._gates.port(name)))
        bus.watch(lambda state, _reason: self._states.update({name: state}))
        await self._running.enter_async_context(running(bus))
        self._buses.append(bus)
        return bus

    async def cut(self, name: str) -> None:
        """See Site; its client has noticed."""
        self._gates.shut(name, True)
        await eventually(lambda: self._states[name] is BusState.LOST)

    async def mend(self, name: str) -> None:
        """See Site."""
        self._gates.shut(name, False)

    async def clog(self, on: bool) -> None:
        """See Site.  RabbitMQ says so to a client only once that has published something."""
        self._broker.alarm(on)
        for bus in self._buses:
            while on and not bus._blocked:
                await bus.send(Address(direct_exchange(), "nobody"), BusMessage(), soon(), Priority.INDICATION)
                await asyncio.sleep(0.01)

    async def settled(self, bus: Bus) -> None:
        """See Site: once what is sent to a last one comes back."""
        await heard_back(bus)


async def heard_back(bus: Bus) -> None:
    """Return once the broker knows of all subscriptions of a client."""
    address, heard = Address(topic_exchange(), f"settled.{bus.own.key}"), list[BusMessage]()
    bus.subscribe(address, heard.append)
    while not heard:
        await bus.send(address, BusMessage(), soon(), Priority.COMMAND)
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    """A client that runs and is connected, as long as the context lasts."""
    task = asyncio.create_task(bus.run())
    try:
        await bus.wait_connected(soon())
        yield
    finally:
        await bus.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def rabbit_site(broker: RabbitMq) -> AsyncIterator[RabbitSite]:
    """The site; it leaves the broker as it was."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            yield RabbitSite(broker, stack)
        finally:
            await stack.aclose()
            broker.alarm(False)
