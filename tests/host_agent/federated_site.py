"""Several hosts in one process: hypervisors in memory, any bus between them, everything else as it is in a daemon."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fencebus_agent.bus import Bus
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.config.model import Group
from fencebus_host.dry_run import DryRun
from fencebus_host.effects import Deed, Kept
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.ownership import Past
from fencebus_host.picture import Picture
from fencebus_host.policy import Policy
from fencebus_host.ports import Answer
from fencebus_host.proofs.panel import HostWitness, Panel
from fencebus_host.routers.federated.build import Membership, build
from fencebus_host.service import FenceService
from fencebus_host.verdict import Evidence
from fencebus_host.watched_keeper import WatchedKeeper
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, HostId, Incarnation, RequestId, Source, Uuid, VmState

KEY = b"the hosts' own key"
_numbers = itertools.count(1)

BusFactory = Callable[[HostId], Bus]
"""Makes the client of a host; a new one for each start of its daemon."""


def vm(number: int) -> Uuid:
    """The UUID of the VM with this number."""
    return Uuid(f"{number:08x}-0000-4000-8000-000000000000")


def described(number: int, state: VmState = VmState.RUNNING, cluster: str | None = None) -> MemoryVm:
    """A VM called after its number."""
    return MemoryVm(vm(number), f"vm{number}", state, cluster=cluster)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a host is configured with."""

    policy: Policy
    names: frozenset[HostId]
    """The ``hosts`` section; empty if there is none."""
    folder: Path | None
    """Where its picture is kept on a real disk."""
    dry_run: bool = False


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


class Host:
    """One host: its hypervisor lives on while its daemon is stopped and started."""

    def __init__(self, name: HostId, vms: Sequence[MemoryVm], terms: Terms, bus: BusFactory) -> None:
        self.name, self._new_bus, self._terms = name, bus, terms
        self._incarnation = Incarnation(f"boot of {name}", f"machine of {name}", "1")
        self.hypervisor = MemoryHypervisor(name, self._incarnation, vms)
        self.disk = Disk()
        self.picture: Picture | None = None
        self.witnesses: list[HostWitness] = []
        """Who can say that another host is dead; read when the daemon starts to ask."""
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the daemon: on a disk that only the test sees, or on a real picture if the site has a folder."""
        terms = self._terms
        past: Past | None = None
        deeds: tuple[Deed, ...] = ()
        if terms.folder is not None:
            self.picture = Picture(terms.folder / self.name)
            (terms.folder / self.name).mkdir(exist_ok=True)
            memory = await self.picture.open()
            past, deeds = memory.past, memory.deeds
        incarnation = replace(self._incarnation, nonce=str(next(_numbers)))
        witnesses = Panel(self.witnesses)
        membership = Membership(self.name, incarnation, (KEY,), terms.names, past, deeds, witnesses, not terms.dry_run)
        keeper, policy = WatchedKeeper(self.picture or self.disk), terms.policy
        self.kept = keeper
        self.bus = self._new_bus(self.name)
        self.router = build(membership, self.hypervisor, self.bus, keeper, lambda: policy)
        fencing = Fencing(self.router, Ledger(), self.disk)
        label, recall = self.hypervisor.cluster_of, self.router.recall
        drill = DryRun(self.router) if terms.dry_run else None
        self.service = FenceService(
            *(self.router, policy, fencing, self.router), label_of=label, recall=recall, drill=drill
        )
        self._running = asyncio.create_task(self.router.run())

    def announce(self) -> None:
        """What the next heartbeat does, at most 5 s later: whoever came after this host hears of it."""
        self.router._driving._connected()

    async def stop(self) -> None:
        """Stop the daemon, as a kill would: nothing more is said, nothing more is written."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self.picture is not None:
            await self.picture.close()

    async def ask(self, action: Action, target: str, *, seconds: float = 5.0, random: bytes = b"") -> Answer:
        """A guest asks this host; the same ``random`` makes it the same request."""
        return await self.service.handle(fence_request(action, target, seconds, random), lambda: True)

    async def state(self, number: int) -> VmState | None:
        """What this host's hypervisor has; ``None`` if it does not know such a VM."""
        record = await self.hypervisor.find(vm(number), Deadline.after(30))
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
    folder: Path | None = None,
    bus: BusFactory | None = None,
    dry: Collection[str] = (),
) -> AsyncIterator[tuple[MemoryBroker, dict[str, Host]]]:
    """Hosts that know each other, each with its VMs; ``bus`` makes them clients of another bus than that in memory.

    ``dry``: those whose daemons run with ``--dry-run``.
    """
    broker = MemoryBroker()
    made = bus or (lambda name: MemoryBus(broker, name))
    names = frozenset(HostId(name) for name in vms) if configured else frozenset[HostId]()
    terms = {name: Terms(Policy((groups or {}).get(name)), names, folder, name in dry) for name in vms}
    hosts = {name: Host(HostId(name), own, terms[name], made) for name, own in vms.items()}
    try:
        for host in hosts.values():
            await host.start()
        if bus is not None:  # they do not come at one moment
            for host in hosts.values():
                await host.bus.wait_connected(Deadline.after(30))
            for host in hosts.values():
                host.announce()
        await until(lambda: all(_knows_all(host, hosts) for host in hosts.values()))
        yield broker, hosts
    finally:
        for host in hosts.values():
            await host.stop()


def _knows_all(host: Host, hosts: Mapping[str, Host]) -> bool:
    known = {record.host for record in host.router.owners()}
    # A single change tells of a host, too; what else it has is known once its inventory has come.
    return known == {other.name for other in hosts.values()} and not host.router.ownership.unread(boottime())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that others do; fails after 30 s: a host that was not heard says it again each 5 s."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("it did not happen within 30 s")
