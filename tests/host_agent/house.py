"""A host in memory: hypervisors without a fault, a real database, and all that stands between a listener and them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fencebus_agent.hypervisor import Permit
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.config.model import Group
from fencebus_host.config.problems import Where
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Policy
from fencebus_host.ports import Answer
from fencebus_host.records import Records
from fencebus_host.routers.local import LocalRouter
from fencebus_host.service import FenceService
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, Source, Uuid, VmState
from tests.host_agent.evidence import HERE, INCARNATION, OTHER, THIRD, VM, request

VMS = (MemoryVm(VM, "vm"), MemoryVm(OTHER, "other"), MemoryVm(THIRD, "third"))


def always() -> bool:
    """A requester that stays."""
    return True


class CountingRouter(LocalRouter):
    """The local router, which also says how often it ended and started VMs, and breaks where a test wants it to."""

    def __init__(self, hypervisors: Sequence[MemoryHypervisor]) -> None:
        super().__init__(hypervisors)
        self.ended: list[Uuid] = []
        self.started: list[Uuid] = []
        self.starting = asyncio.Event()
        self.defect_in = ""
        self.held: dict[tuple[Action, Uuid], asyncio.Event] = {}

    def hold(self, action: Action, vm: Uuid = VM) -> asyncio.Event:
        """From now on the end (OFF) or the start (ON) of a VM waits until the event that this returns is set."""
        return self.held.setdefault((action, vm), asyncio.Event())

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """As the local router."""
        if self.defect_in == "find":
            raise ValueError("a defect")
        return await super().find(target, deadline)

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """As the local router."""
        self.ended.append(vm)
        await self._released(Action.OFF, vm)
        if self.defect_in == "power_off":
            raise ValueError("a defect")
        return await super().power_off(vm, found, deadline, permit)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """As the local router."""
        self.started.append(vm)
        self.starting.set()
        await self._released(Action.ON, vm)
        if self.defect_in == "power_on":
            raise ValueError("a defect")
        return await super().power_on(vm, found, deadline, permit)

    async def _released(self, action: Action, vm: Uuid) -> None:
        if held := self.held.get((action, vm)):
            await held.wait()


class House:
    """One host."""

    def __init__(self, folder: Path, hypervisors: Sequence[MemoryHypervisor]) -> None:
        self.hypervisors = hypervisors
        self.router = CountingRouter(hypervisors)
        self.records = Records(folder, {})
        self.fencing = Fencing(self.router, Ledger(), self.records, witness=self.records.saw)
        saw = self.records.saw
        self.service = FenceService(self.router, Policy(None), self.fencing, self.records, witness=saw)

    @property
    def hypervisor(self) -> MemoryHypervisor:
        """The first, where there is but one."""
        return self.hypervisors[0]

    async def admitted(self, count: int) -> None:
        """Wait until so many power actions run, wait or have joined."""
        for _ in range(5000):
            if len(self.fencing._ledger) >= count:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"only {len(self.fencing._ledger)} of {count} were admitted")

    async def state(self, vm: Uuid = VM, hypervisor: int = 0) -> VmState:
        """What the hypervisor itself says."""
        found = await self.hypervisors[hypervisor].find(vm, Deadline.after(30))
        assert found is not None
        return found.state

    def new(self, action: Action, target: str = VM, source: Uuid | None = None, patience: float = 5.0) -> FenceRequest:
        """A request that has just arrived, from a guest or from an address that is nobody's."""
        asks = Source("192.0.2.8", source) if source else Source("192.0.2.7")
        now = boottime()
        return request(action, target, source=asks, deadline=Deadline(now + patience), received_at=now)

    async def ask(self, action: Action, target: str = VM, source: Uuid | None = None, patience: float = 5.0) -> Answer:
        """Have a new request answered, and told."""
        answer = await self.service.handle(self.new(action, target, source, patience), always)
        await asyncio.sleep(0)  # what is told of it comes behind the answer
        return answer


def memory_hypervisor(*vms: MemoryVm, name: str = "memory:///") -> MemoryHypervisor:
    """A hypervisor with these VMs, or with the three usual ones, all running."""
    return MemoryHypervisor(HERE, INCARNATION, vms or VMS, name=name)


@asynccontextmanager
async def opened(folder: Path, *hypervisors: MemoryHypervisor) -> AsyncIterator[House]:
    """A host with its database open."""
    house = House(folder, hypervisors or (memory_hypervisor(),))
    await house.records.open()
    try:
        yield house
    finally:
        await house.fencing.drain(5)
        await house.records.close()


def group(*uuids: str, ips: tuple[str, ...] = ()) -> Group:
    """A group of the configuration."""
    return Group("g", uuids, ips, Where("fence_virt.conf", 1))


async def begun() -> None:
    """Wait a moment, so that what waits for a hypervisor waits there."""
    for _ in range(6):  # a machine that stands still for a moment swallows one pause, not all of them
        await asyncio.sleep(0.005)
