"""Shows a fence across hosts: two hosts in one process, a bus in memory between them, and the real client in front."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.complaints import Complaints
from fencebus_host.config.model import TcpSettings
from fencebus_host.config.problems import Where
from fencebus_host.demo.client import Step, free_port, run, write
from fencebus_host.door import Door
from fencebus_host.effects import Kept
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.session import Handshake
from fencebus_host.listeners.stream import Reception, StreamListener
from fencebus_host.listeners.tcp import TcpWire
from fencebus_host.locality import GuestLocator
from fencebus_host.neighbours import OwnAddresses, mac_addresses_of
from fencebus_host.policy import Policy
from fencebus_host.replay import SeenRequests
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.build import Membership, build
from fencebus_host.service import FenceService
from fencebus_host.verdict import Evidence
from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.model import FenceRequest, HostId, Incarnation, Uuid, VmRecord

HOSTS = {HostId("host1"): ("node1", "database"), HostId("host2"): ("node2", "webserver")}
PATIENCE = 25.0
STEPS = (
    Step(
        "host1 is asked to fence node2, which runs on host2: host2 kills it, and host1 answers.",
        ("-o", "off", "-n", "node2"),
    ),
    Step("Is node2 on?  (exit status 2 means OFF)", ("-o", "status", "-n", "node2"), 2),
    Step(
        "Switch it on again: on its last owner, once every host has denied twice that it has it.",
        ("-o", "on", "-n", "node2"),
    ),
    Step("Reboot another VM of host2.", ("-o", "reboot", "-n", "webserver")),
)


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its way to the others, and the TCP port at which guests ask it."""

    router: FederatedRouter
    port: int


class NoDisk:
    """Keeps nothing: the demonstration's hosts do not outlive it."""

    async def keep(self, record: Kept) -> bool:
        """As ``Keeper``."""
        return True

    async def ended(self, request: FenceRequest, evidence: Evidence) -> None:
        """As ``ports.Record``."""


def show(folder: Path) -> bool:
    """Run the demonstration in a folder of its own; true if every step ended as it must."""
    return asyncio.run(_show(folder))


async def _show(folder: Path) -> bool:
    key = secrets.token_bytes(512)
    await asyncio.to_thread(write, folder / "key", key)
    broker, bus_key = MemoryBroker(), secrets.token_bytes(64)
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(_host(name, broker, bus_key, key)) for name in HOSTS]
        print("\nTwo hosts that know each other, each with its VMs. Who owns what, as host1 sees it:\n")
        await _until_known(hosts[0].router)
        _print_owners(hosts[0].router.owners())
        first = await asyncio.to_thread(run, STEPS[0], folder, hosts[0].port)
        _print_owners(hosts[0].router.owners())
        rest = [await asyncio.to_thread(run, step, folder, hosts[0].port) for step in STEPS[1:]]
        _print_owners(hosts[0].router.owners())
    return all([first, *rest])


async def _until_known(router: FederatedRouter) -> None:
    expected = sum(len(vms) for vms in HOSTS.values())
    for _ in range(500):
        if len(list(router.owners())) == expected:
            return
        await asyncio.sleep(0.01)


def _print_owners(records: Iterable[VmRecord]) -> None:
    print(f"    {'VM':<12}{'state':<10}host")
    for record in records:
        print(f"    {record.name:<12}{record.state.value:<10}{record.host}")
    print()


@asynccontextmanager
async def _host(name: HostId, broker: MemoryBroker, bus_key: bytes, key: bytes) -> AsyncIterator[Host]:
    incarnation = Incarnation("demo", name, secrets.token_hex(8))
    hypervisor = MemoryHypervisor(name, incarnation, [MemoryVm(_uuid(vm), vm) for vm in HOSTS[name]])
    membership = Membership(name, incarnation, (bus_key,), frozenset(HOSTS))
    policy, disk = Policy(None), NoDisk()
    router = build(membership, hypervisor, MemoryBus(broker, name), disk, lambda: policy)
    service = FenceService(router, policy, Fencing(router, Ledger(), disk), router, recall=router.recall)
    port, open_ = free_port(), asyncio.Event()
    listener = _listener(port, key, hypervisor)
    tasks = [asyncio.create_task(router.run()), asyncio.create_task(listener.serve(service.handle, open_.set))]
    try:
        await open_.wait()
        yield Host(router, port)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listener(port: int, key: bytes, hypervisor: MemoryHypervisor) -> StreamListener:
    settings = TcpSettings(port=port, keys=(key,), where=Where("the demonstration"))
    locator = GuestLocator(OwnAddresses(), mac_addresses_of, hypervisor.neighbours)
    door = Door((key,), HASH_SHA256, SeenRequests(PATIENCE))
    reception = Reception(door, Handshake(HASH_SHA256), Refusals(Complaints()), PATIENCE)
    return StreamListener("tcp", TcpWire(settings, locator), reception)


def _uuid(name: str) -> Uuid:
    return Uuid(f"{sum(name.encode()):08x}-0000-4000-8000-000000000000")
