"""Several hosts in one process: hypervisors in memory, a bus in memory, everything else as it is in a daemon."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.config.model import Group
from fencebus_host.effects import Kept
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Policy
from fencebus_host.ports import Answer
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.build import Membership, build
from fencebus_host.service import FenceService
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, HostId, Incarnation, RequestId, Source, Uuid, VmState

KEY = b"the hosts' own key"
_numbers = itertools.count(1)


def vm(number: int) -> Uuid:
    """The UUID of the VM with this number."""
    return Uuid(f"{number:08x}-0000-4000-8000-000000000000")


def described(number: int, state: VmState = VmState.RUNNING, cluster: str | None = None) -> MemoryVm:
    """A VM called after its number."""
    return MemoryVm(vm(number), f"vm{number}", state, cluster=cluster)


@dataclass(slots=True)
class Disk:
    """Keeps records, or fails to."""

    full: bool = False
    records: list[Kept] = field(default_factory=list)

    async def keep(self, record: Kept) -> bool:
        """As a ``Keeper``."""
        await asyncio.sleep(0)
        if self.full:
            return False
        self.records.append(record)
        return True

    async def ended(self, request: FenceRequest, evidence: Evidence) -> None:
        """As a ``Record``: the federation has written its own already."""


@dataclass(slots=True)
class Host:
    """One host."""

    name: HostId
    hypervisor: MemoryHypervisor
    disk: Disk
    router: FederatedRouter
    service: FenceService

    async def ask(self, action: Action, target: str, *, seconds: float = 5.0, random: bytes = b"") -> Answer:
        """A guest asks this host; the same ``random`` makes it the same request."""
        return await self.service.handle(fence_request(action, target, seconds, random), lambda: True)

    async def state(self, number: int) -> VmState | None:
        """What this host's hypervisor has; ``None`` if it does not know such a VM."""
        record = await self.hypervisor.find(vm(number), Deadline.after(1))
        return record.state if record else None


def fence_request(action: Action, target: str, seconds: float = 5.0, random: bytes = b"") -> FenceRequest:
    """A request as a listener makes it."""
    number = next(_numbers)
    return FenceRequest(
        id=RequestId(f"{number:032x}"),
        action=action,
        target=target,
        source=Source("192.0.2.1"),
        via="tcp",
        deadline=Deadline.after(seconds),
        received_at=boottime(),
        seqno=1,
        random=random or number.to_bytes(10, "big"),
    )


@asynccontextmanager
async def site(
    vms: Mapping[str, Sequence[MemoryVm]],
    *,
    configured: bool = True,
    groups: Mapping[str, Sequence[Group]] | None = None,
) -> AsyncIterator[tuple[MemoryBroker, dict[str, Host]]]:
    """Hosts that know each other, each with its VMs."""
    broker = MemoryBroker()
    names = frozenset(HostId(name) for name in vms)
    async with AsyncExitStack() as stack:
        hosts = {}
        for name, own in vms.items():
            policy = Policy((groups or {}).get(name))
            hosts[name] = await stack.enter_async_context(
                _host(broker, HostId(name), own, policy, names if configured else frozenset())
            )
        await until(lambda: all(_knows_all(host, hosts) for host in hosts.values()))
        yield broker, hosts


@asynccontextmanager
async def _host(
    broker: MemoryBroker, name: HostId, vms: Sequence[MemoryVm], policy: Policy, names: frozenset[HostId]
) -> AsyncIterator[Host]:
    incarnation = Incarnation(f"boot of {name}", f"machine of {name}", "1")
    hypervisor = MemoryHypervisor(name, incarnation, vms)
    disk = Disk()
    membership = Membership(name, incarnation, (KEY,), names)
    router = build(membership, hypervisor, MemoryBus(broker, name), disk, lambda: policy)
    fencing = Fencing(router, Ledger(), disk)
    service = FenceService(router, policy, fencing, router, label_of=hypervisor.cluster_of, recall=router.recall)
    running = asyncio.create_task(router.run())
    try:
        yield Host(name, hypervisor, disk, router, service)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _knows_all(host: Host, hosts: Mapping[str, Host]) -> bool:
    known = {record.host for record in host.router.owners()}
    return known == {other.name for other in hosts.values()}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that others do; fails after 5 s."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)  # noqa: ASYNC110
