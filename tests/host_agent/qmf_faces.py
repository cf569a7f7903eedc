"""Hosts of a site, each with its QMF face, and a console that looks at them; for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fencebus_agent.bus import Address, BusMessage, topic_exchange
from fencebus_agent.hypervisor import HypervisorError, UnknownDomain
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryVm
from fencebus_agent.qmf_console import ConsoleTerms, QmfConsole
from fencebus_host.config.model import Group
from fencebus_host.qmf_face import FaceTerms, QmfFace, Site
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid
from fencebus_schemas.qmf2_classes import DOMAIN, FENCE_CONTROL
from fencebus_schemas.qmf2_data import Data, Event, ObjectId
from tests.host_agent.federated_site import Host, site
from tests.hypervisors import eventually


@dataclass
class Butler:
    """Courtesies that are only taken down; of one VM."""

    vm: Uuid
    done: list[tuple[str, Uuid]] = field(default_factory=list)
    error: HypervisorError | None = None

    async def shut_down(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        self._take("shut_down", vm)

    async def suspend(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        self._take("suspend", vm)

    async def resume(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        self._take("resume", vm)

    async def definition(self, vm: Uuid, deadline: Deadline) -> str:
        """See the port."""
        self._take("definition", vm)
        return "<domain/>"

    def _take(self, what: str, vm: Uuid) -> None:
        if vm != self.vm:
            raise UnknownDomain("memory", f"no domain {vm}")
        if self.error is not None:
            raise self.error
        self.done.append((what, vm))


@dataclass
class Show:
    """What a test sees and does."""

    broker: MemoryBroker
    hosts: Mapping[str, Host]
    faces: Mapping[str, QmfFace]
    console: QmfConsole
    events: list[tuple[str, Event]] = field(default_factory=list)
    traffic: list[BusMessage] = field(default_factory=list)

    def domains(self) -> dict[str, list[str]]:
        """Which hosts show which VM, and as what."""
        found: dict[str, list[str]] = {}
        for one in self.console.picture.objects(DOMAIN.id):
            found.setdefault(str(one.values["name"]), []).append(f"{_host(one.id)} {one.values['detailedState']!s}")
        return {name: sorted(places) for name, places in found.items()}

    def domain(self, name: str) -> Data:
        """The one object of a VM."""
        (found,) = [one for one in self.console.picture.objects(DOMAIN.id) if one.values["name"] == name]
        return found

    async def call(self, target: ObjectId, method: str, arguments: Map | None = None, seconds: float = 10.0) -> Map:
        """Call a method of an object."""
        return await self.console.call(target, method, arguments or {}, Deadline.after(seconds))

    def told(self, name: str) -> list[tuple[str, Map]]:
        """The events of a class: host and values."""
        return [(agent.split(":")[2], one.values) for agent, one in self.events if one.schema.class_name == name]


def _host(one: ObjectId) -> str:
    return one.agent.split(":")[2]


@asynccontextmanager
async def faces(
    vms: Mapping[str, Sequence[MemoryVm]],
    *,
    groups: Mapping[str, Sequence[Group]] | None = None,
    butlers: Sequence[Butler] = (),
    patience: float = 5.0,
) -> AsyncIterator[Show]:
    """The hosts and a console called ``console``, whom they trust."""
    async with site(vms, groups=groups) as (broker, hosts), AsyncExitStack() as running:
        bus = MemoryBus(broker, "console", "console")
        console = QmfConsole(bus, ConsoleTerms(patience=1.0))
        made = {name: face(host, butlers, patience) for name, host in hosts.items()}
        show = Show(broker, hosts, made, console)
        bus.subscribe(Address(topic_exchange(), "#"), show.traffic.append)
        console.subscribe(lambda agent, event: show.events.append((agent, event)))
        for part in (bus.run(), console.run(), *(one.run() for one in made.values())):
            task = asyncio.create_task(part)
            running.push_async_callback(_ended, task)
        await eventually(lambda: {_host(one.id) for one in console.picture.objects(FENCE_CONTROL.id)} == set(hosts))
        yield show


def face(host: Host, butlers: Sequence[Butler] = (), patience: float = 5.0) -> QmfFace:
    """The face of a host, as a daemon makes it."""
    place = Site([host.hypervisor], butlers, host.service.handle, host.router.find, host.router.ownership)
    terms = FaceTerms(host.name, 7, host.router.name, trusted=frozenset({"console"}), patience=patience)
    made = QmfFace(terms, host.bus, place)
    host.kept.watch(made.kept)
    host.service.join(made)
    return made


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
