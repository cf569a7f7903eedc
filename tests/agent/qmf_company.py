"""QMF agents and consoles on one broker in memory, for tests: they run as long as a context lasts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from fencebus_agent.bus import Address, Bus, BusMessage, Priority, topic_exchange
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_calls import Call, Handler
from fencebus_agent.qmf_console import ConsoleTerms, QmfConsole
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_agent.qmf_domains import DomainFacts, owned
from fencebus_agent.qmf_wire import from_bus, to_bus
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Uuid, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, FENCE_CONTROL
from fencebus_schemas.qmf2_data import ObjectId
from fencebus_schemas.qmf2_messages import Message
from tests.hypervisors import soon


def vm(number: int, host: str = "hosta", state: VmState = VmState.RUNNING) -> DomainFacts:
    """A VM of a host."""
    return DomainFacts(Uuid(f"{number:08}-1111-1111-1111-111111111111"), f"vm{number}", state, HostId(host))


def domain_id(number: int, host: str = "hosta") -> ObjectId:
    """Its object's name."""
    return ObjectId(f"fencebus:libvirt-qmf:{host}", f"org.libvirt:Domain:{vm(number).uuid}")


@dataclass
class Recorder:
    """A handler that does what it is told and remembers what it was asked."""

    result: Map = field(default_factory=dict)
    error: Exception | None = None
    pause: float = 0.0
    calls: list[Call] = field(default_factory=list)

    async def call(self, call: Call, deadline: Deadline) -> Map:
        """See the port."""
        assert deadline.remaining() > 0
        self.calls.append(call)
        await asyncio.sleep(self.pause)
        if self.error is not None:
            raise self.error
        return self.result


class Listener:
    """Everything that agents say to all, and what comes to an address of its own."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.told: list[BusMessage] = []
        self.answers: list[BusMessage] = []
        bus.subscribe(Address(topic_exchange(), "agent.#"), self.told.append)
        bus.subscribe(bus.own, self.answers.append)

    def heard(self, kind: type[object], key: str = "") -> list[Message]:
        """What was said of one kind, to routing keys that begin so."""
        said = [from_bus(message) for message in self.told if message.to.key.startswith(key)]
        return [one for one in said if isinstance(one, kind)]

    async def ask(self, to: Address, message: Message, number: str = "1") -> None:
        """As a console would."""
        await self.bus.send(to, to_bus(message, self.bus.own, number), soon(), Priority.COMMAND)


class Company:
    """One broker, and whoever is on it."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(seed=7)
        self._running = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Company:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._running.aclose()

    async def agent(
        self, host: str = "hosta", handler: Handler | None = None, epoch: int = 1, name: str = "", interval: int = 60
    ) -> QmfAgent:
        """An agent, whose bus is called as its host unless it has a name; users of the buses have their names."""
        made, _ = await self.mortal_agent(host, handler, epoch, name, interval)
        return made

    async def mortal_agent(
        self, host: str = "hosta", handler: Handler | None = None, epoch: int = 1, name: str = "", interval: int = 60
    ) -> tuple[QmfAgent, contextlib.AsyncExitStack]:
        """The same with what ends it."""
        bus = MemoryBus(self.broker, name or host, name or host)
        terms = AgentTerms(HostId(host), epoch, interval=interval, trusted=frozenset({"console"}))
        agent = QmfAgent(bus, terms, handler)
        agent.put(FENCE_CONTROL, host, {"hostname": host, "version": "0"})
        return agent, await self._run(bus, agent)

    async def console(
        self,
        users: Mapping[str, str] | None = None,
        patience: float = 0.3,
        clock: Callable[[], float] = time.monotonic,
    ) -> QmfConsole:
        """A console that loses patience early."""
        bus = MemoryBus(self.broker, "console", "console")
        console = QmfConsole(bus, ConsoleTerms(users=users or {}, patience=patience), clock)
        await self._run(bus, console)
        return console

    async def listener(self, name: str = "console") -> Listener:
        """Somebody who only listens, and asks by hand."""
        bus = MemoryBus(self.broker, name, name)
        made = Listener(bus)
        await self._run(bus)
        return made

    async def _run(self, bus: MemoryBus, *parts: QmfAgent | QmfConsole) -> contextlib.AsyncExitStack:
        one = contextlib.AsyncExitStack()
        await one.enter_async_context(_running(bus))
        for part in parts:
            await one.enter_async_context(_running(part))
        await bus.wait_connected(soon())
        await self._running.enter_async_context(one)
        return one


@contextlib.asynccontextmanager
async def _running(part: MemoryBus | QmfAgent | QmfConsole) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def show(agent: QmfAgent, *domains: DomainFacts) -> None:
    """The agent shows these VMs, as far as its host owns them."""
    agent.show(DOMAIN, owned(HostId(agent.name.instance), domains))
