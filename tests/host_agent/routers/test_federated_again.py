"""A router that failed in the middle of a kill and was started again: what it had begun stands in nobody's way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fencebus_agent.memory_driver import MemoryHypervisor
from fencebus_host.effects import Deed, Kept
from fencebus_host.federation.tokens import REISSUE
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Policy
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.build import Membership, build_over
from fencebus_host.service import FenceService
from fencebus_host.supervision import Part
from fencebus_schemas.model import Action, FenceOutcome, HostId, Incarnation, Reason
from fencebus_schemas.peer import Message
from tests.host_agent.federated_site import Disk, described, fence_request, until, vm

ME, MINE = HostId("a"), Incarnation("boot", "machine", "1")


class BreakingCarrier:
    """Reaches nobody, and breaks when it is told to."""

    trouble = None

    def __init__(self) -> None:
        self.runs = 0
        self.break_now = asyncio.Event()

    async def run(self, receive: Callable[[Message], None], connected: Callable[[], None]) -> None:
        """As a carrier."""
        self.runs += 1
        await self.break_now.wait()
        self.break_now.clear()
        raise OSError("the carrier broke")

    def send(self, message: Message) -> None:
        """As a carrier."""


@dataclass(slots=True)
class SlowDisk(Disk):
    """Waits before it keeps a deed."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def keep(self, record: Kept) -> bool:
        """As a ``Keeper``."""
        if isinstance(record, Deed):
            self.asked += 1
            await self.gate.wait()
        self.records.append(record)
        return True


@dataclass(slots=True)
class House:
    """One host among others that are not there, supervised as in the daemon."""

    router: FederatedRouter
    service: FenceService
    hypervisor: MemoryHypervisor
    carrier: BreakingCarrier
    disk: SlowDisk

    async def ask(self, seconds: float) -> FenceOutcome:
        """An off."""
        return (await self.service.handle(fence_request(Action.OFF, "vm2", seconds), lambda: True)).outcome

    async def fail_and_come_back(self) -> None:
        """The part of the daemon does."""
        runs = self.carrier.runs
        self.carrier.break_now.set()
        await until(lambda: self.carrier.runs > runs)


@contextlib.asynccontextmanager
async def house() -> AsyncIterator[House]:
    """With one VM."""
    hypervisor, carrier, disk = MemoryHypervisor(ME, MINE, [described(2)]), BreakingCarrier(), SlowDisk()
    membership = Membership(ME, MINE, hosts=frozenset((ME,)))
    router = build_over(membership, hypervisor, carrier, disk, lambda: Policy(None))
    service = FenceService(router, Policy(None), Fencing(router, Ledger(), Disk()), router, recall=router.recall)
    part = Part("router", lambda _ready: router.run(), lambda: None)
    part.start()
    try:
        await until(lambda: bool(router.ownership.known(vm(2))))
        await asyncio.sleep(2 * REISSUE)  # so that the VM is older than any token that a command may quote
        yield House(router, service, hypervisor, carrier, disk)
    finally:
        disk.gate.set()
        await part.stop()


async def test_after_a_failure_in_the_middle_of_a_kill_the_vm_can_be_fenced_again() -> None:
    async with house() as site:
        site.disk.gate.set()
        site.hypervisor.faults(vm(2)).exit_takes = 1.5
        first = asyncio.create_task(site.ask(2.0))
        await until(lambda: bool(site.router._driving._acting[vm(2)]))
        await site.fail_and_come_back()
        site.hypervisor.faults(vm(2)).exit_takes = 0.0
        await first
        assert (await site.ask(5.0)).ok


async def test_after_a_failure_while_a_kill_was_written_down_it_was_not_recorded_and_may_be_repeated() -> None:
    async with house() as site:
        first = asyncio.create_task(site.ask(3.0))
        await until(lambda: site.disk.asked == 1)
        await site.fail_and_come_back()
        outcome = await first
        assert (outcome.ok, outcome.reason) == (False, Reason.NOT_RECORDED)
        site.disk.gate.set()
        assert (await site.ask(5.0)).ok
