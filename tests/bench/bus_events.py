"""Measures how long after libvirt has told one host of an event every other host knows it; three, in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fencebus_agent.hypervisor import DomainEvent
from fencebus_agent.kombu_bus import KombuBus
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_host.policy import Policy
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.build import Membership, build
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmState
from tests.daemon_process import uuid_of, write_world
from tests.host_agent.federated_site import KEY, Disk
from tests.hypervisors import eventually
from tests.rabbitmq import RabbitMq

NAMES = ("host1", "host2", "host3")
LOOK = 0.0002
"""Seconds between two looks at what the others know."""


class _Host:
    """One of the hosts, with VMs of its own on libvirt's test driver."""

    def __init__(self, name: str, broker: RabbitMq, folder: Path, vms: int) -> None:
        world = folder / f"{name}.xml"
        write_world(world, {_vm(name, number): f"52:54:00:01:00:{number & 255:02x}" for number in range(vms)})
        incarnation = Incarnation(f"boot of {name}", f"machine of {name}", name)
        self.hypervisor = LibvirtHypervisor(f"test://{world}", HostId(name), incarnation, marks=True)
        membership = Membership(HostId(name), incarnation, (KEY,), frozenset(map(HostId, NAMES)))
        self.bus = KombuBus(broker.url(name))
        self.router: FederatedRouter = build(membership, self.hypervisor, self.bus, Disk(), lambda: Policy(None))

    def knows(self, vm: Uuid, state: VmState) -> bool:
        """Whether it takes a VM of the first host to be so."""
        known = self.router._machine.ownership.known(vm)
        return any(record.host == NAMES[0] and record.state is state for record in known)


def _vm(name: str, number: int) -> str:
    return f"node{int(name.removeprefix('host')) * 1000 + number}"


async def event_times(broker: RabbitMq, folder: Path, count: int) -> list[float]:
    """Seconds, for each of so many VMs that ended."""
    async with _running([_Host(name, broker, folder, count if name == NAMES[0] else 1) for name in NAMES]) as hosts:
        first, others = hosts[0], hosts[1:]
        vms = [Uuid(uuid_of(_vm(NAMES[0], number))) for number in range(count)]
        await eventually(lambda: all(host.knows(vm, VmState.RUNNING) for host in others for vm in vms), 30)
        return [await _spread(first, others, vm) for vm in vms]


async def _spread(first: _Host, others: list[_Host], vm: Uuid) -> float:
    told: list[float] = []

    def heard(event: DomainEvent) -> None:
        if event.vm == vm:
            told.append(time.perf_counter())

    first.hypervisor.subscribe(heard)
    # As an administrator would, past the daemon.
    await first.hypervisor.link.call(lambda conn: conn.lookupByUUIDString(vm).destroy(), Deadline.after(10))
    async with asyncio.timeout(10):
        while not (told and all(host.knows(vm, VmState.OFF) for host in others)):  # noqa: ASYNC110 -- from outside
            await asyncio.sleep(LOOK)
    return time.perf_counter() - told[0]


@asynccontextmanager
async def _running(hosts: list[_Host]) -> AsyncIterator[list[_Host]]:
    tasks = [asyncio.create_task(host.router.run()) for host in hosts]
    try:
        for host in hosts:
            await host.bus.wait_connected(Deadline.after(30))
        yield hosts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
