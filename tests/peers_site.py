"""Hosts with direct links for the contract of buses: each reaches each other one through a valve of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fencebus_agent.bus import Address, Bus, BusMessage, Priority, topic_exchange
from fencebus_agent.bus_terms import Terms
from fencebus_agent.peers_bus import PeersBus
from tests.hypervisors import eventually, soon
from tests.ports import free_tcp_port
from tests.rabbitmq_site import Gate, running

KEY = b"the key of the hosts"
WITNESS = "witness"
"""A host that only the first one knows, so that this one is never alone."""

NAMES = ("a", "b", "c", "asker", "answerer", "a2")
EVERYBODY = Address(topic_exchange(), "everybody")


class Valve(Gate):
    """A gate that can also hold everything back, and through which nobody may be reached."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._flowing = asyncio.Event()
        self._flowing.set()

    def hold(self, on: bool) -> None:
        """Nothing comes through, and nobody is told."""
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await super()._serve(reader, writer)
        except (OSError, ExceptionGroup):
            writer.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)


class PeersSite:
    """Some hosts, without a broker."""

    vouches = False
    """They know each other by the key alone."""

    def __init__(self, stack: contextlib.AsyncExitStack) -> None:
        self._stack = stack
        self._ports = {name: free_tcp_port() for name in (WITNESS, *NAMES)}
        self._valves: dict[tuple[str, str], Valve] = {}
        self._buses: dict[str, PeersBus] = {}

    async def join(self, name: str) -> Bus:
        """See Site.  The first one meets a witness; each meets all that are there."""
        name = name if name not in self._buses else f"{name}2"
        if not self._buses:
            await self._add(WITNESS, (name,))
            await self._add(name, (*NAMES, WITNESS))
        else:
            await self._add(name, NAMES)
        others = self._buses.keys() - {WITNESS, name}
        await eventually(lambda: all(self._meet(name, other) for other in others), 20)
        return self._buses[name]

    async def cut(self, name: str) -> None:
        """See Site."""
        self._shut(name, True)
        await eventually(lambda: not self._buses[name]._presence.somebody.is_set())

    async def mend(self, name: str) -> None:
        """See Site."""
        self._shut(name, False, (WITNESS,))  # a command that waits goes out as soon as anybody is there
        others = self._buses.keys() - {WITNESS, name}
        await eventually(lambda: all(self._meet(name, other) for other in others), 20)
        self._shut(name, False)

    async def clog(self, on: bool) -> None:
        """See Site.  Everybody learns it from the silence of the others."""
        for valve in self._valves.values():
            valve.hold(on)
        for bus in self._buses.values():
            while on and not all(audience.stalled for audience in bus._door.audiences):
                await bus.send(EVERYBODY, BusMessage(), soon(), Priority.INDICATION)
                await asyncio.sleep(0.05)

    async def settled(self, bus: Bus) -> None:
        """See Site: once what each host sends to a last one comes."""
        last, heard = Address(topic_exchange(), f"settled.{bus.own.key}"), set[str]()
        bus.subscribe(last, lambda message: heard.add(message.correlation_id))
        while not heard >= self._buses.keys() - {WITNESS}:
            for name in self._buses.keys() - {WITNESS}:
                await self._buses[name].send(last, BusMessage(correlation_id=name), soon(), Priority.COMMAND)
            await asyncio.sleep(0.01)

    async def _add(self, name: str, others: tuple[str, ...]) -> None:
        listed = [f"{name}@127.0.0.1:{self._ports[name]}"]
        for other in others:
            if other != name:
                valve = self._valves[name, other] = Valve(self._ports[other])
                listed.append(f"{other}@127.0.0.1:{await valve.open()}")
                self._stack.push_async_callback(valve.close)
        bus = PeersBus("peers://" + ",".join(listed), name, (KEY,), Terms(connect_timeout=10.0))
        bus.subscribe(EVERYBODY, lambda _message: None)
        self._buses[name] = bus
        if name == WITNESS:
            task = asyncio.create_task(bus.run())
            self._stack.push_async_callback(_ended, bus, task)
        else:
            await self._stack.enter_async_context(running(bus))

    def _meet(self, one: str, other: str) -> bool:
        return other in self._buses[one]._presence._there and one in self._buses[other]._presence._there

    def _shut(self, name: str, on: bool, but: tuple[str, ...] = ()) -> None:
        for pair, valve in self._valves.items():
            if name in pair and not set(but) & set(pair):
                valve.shut(on)


async def _ended(bus: PeersBus, task: asyncio.Task[None]) -> None:
    await bus.close()
    await task


@contextlib.asynccontextmanager
async def peers_site() -> AsyncIterator[PeersSite]:
    """The site, with all of its hosts and valves."""
    async with contextlib.AsyncExitStack() as stack:
        yield PeersSite(stack)
