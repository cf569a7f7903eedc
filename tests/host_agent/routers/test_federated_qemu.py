"""Two hosts with real VMs that migrate between them, and fences that enter at either (issue 6: live migration).

Both daemons run in this process; each sees the processes of its own host alone, as on a machine of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import libvirt
import pytest

from fencebus_agent.libvirt_driver import LibvirtHypervisor, driver
from fencebus_agent.libvirt_driver.processes import ProcessFinder, release
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.process_watch import Held, hold_all
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Policy
from fencebus_host.ports import Answer
from fencebus_host.routers.federated.build import Membership, build
from fencebus_host.service import FenceService
from fencebus_schemas.model import Action, FenceOutcome, HostId, Incarnation, Reason, Uuid, VmState
from tests.agent.distant_driver import DistantDriver
from tests.agent.test_migration import BALLAST, SLOW, Road, Traveller
from tests.guests.hosts import MOVE, TwinHost, two_hosts
from tests.host_agent.federated_site import KEY, Disk, fence_request, until

ROUNDS = int(os.environ.get("FENCEBUS_MIGRATIONS", "8"))
"""Of fences in mid-migration; `FENCEBUS_MIGRATIONS=100` for those who change something and have time."""
pytestmark = pytest.mark.timeout(60 + 12 * ROUNDS)
WAYS = ("fast", "slow", "post-copy", "called off")
SECONDS = 5.0
"""A request's patience."""
NAMES = frozenset({HostId("host1"), HostId("host2")})


class OwnProcesses(ProcessFinder):
    """What a host sees of this machine: the processes of its own namespace, whose pid files say nothing out here."""

    def __init__(self, folder: Path, socket: Path, host: TwinHost) -> None:
        super().__init__(folder, socket)
        children = Path(f"/proc/{host.libvirtd.namespace}/task/{host.libvirtd.namespace}/children")
        self._namespace = _namespace(int(children.read_text().split()[0]))

    def may_hide(self, name: str) -> bool:
        """Nothing is hidden from out here."""
        return not self.sees

    def running(self, vm: Uuid, name: str) -> tuple[Held, ...]:
        """By its UUID alone."""
        return self.every_process(vm)

    def every_process(self, vm: Uuid) -> tuple[Held, ...]:
        """Those of this host."""
        return self._own(hold_all(vm))

    def everything(self) -> tuple[Held, ...]:
        """Those of this host."""
        return self._own(hold_all())

    def _own(self, found: list[Held]) -> tuple[Held, ...]:
        own = [held for held in found if _namespace(held.qemu.pid) == self._namespace]
        release([held for held in found if held not in own])
        return tuple(own)


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


class Member:
    """One daemon, as far as fences go."""

    def __init__(self, broker: MemoryBroker, host: TwinHost) -> None:
        name = HostId(host.name)
        incarnation = Incarnation(f"boot of {name}", f"machine of {name}", "1")
        self.hypervisor = LibvirtHypervisor(host.libvirtd.uri, name, incarnation, marks=True)
        policy, disk = Policy(None), Disk()
        membership = Membership(name, incarnation, (KEY,), NAMES)
        self.router = build(membership, self.hypervisor, MemoryBus(broker, name), disk, lambda: policy)
        fencing = Fencing(self.router, Ledger(), disk)
        self.service = FenceService(self.router, policy, fencing, self.router, recall=self.router.recall)

    async def off(self, vm: str) -> FenceOutcome:
        """A guest asks this host to fence that VM."""
        answer: Answer = await self.service.handle(fence_request(Action.OFF, vm, SECONDS), lambda: True)
        return answer.outcome

    def owners(self, vm: str) -> set[HostId]:
        """Who has it, as far as this host knows."""
        return {record.host for record in self.router.owners() if record.uuid == vm and record.state.is_claim}


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The hosts, without drivers of their own."""
    ballast = tmp_path_factory.mktemp("ballast") / "memory"
    ballast.write_bytes(os.urandom(BALLAST))
    with two_hosts() as (source, target):
        yield Road(source, target, DistantDriver(source), DistantDriver(target), ballast)


@pytest.fixture
async def members(road: Road, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Member, Member]]:
    """The daemons of both hosts, which know each other."""
    finders = {
        host.libvirtd.socket: OwnProcesses(host.libvirtd.socket.parent / "qemu", host.libvirtd.socket, host)
        for host in (road.source, road.target)
    }
    monkeypatch.setattr(
        driver, "finder_for", lambda uri, _folder: finders[Path(parse_qs(urlsplit(uri).query)["socket"][0])]
    )
    broker = MemoryBroker()
    both = Member(broker, road.source), Member(broker, road.target)
    async with running(both[0]), running(both[1]):
        await until(lambda: all(len(list(one.router._machine.ownership.members)) == 2 for one in both))
        yield both


@asynccontextmanager
async def running(member: Member) -> AsyncIterator[None]:
    """It takes part."""
    task = asyncio.create_task(member.router.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await member.hypervisor.close()


@asynccontextmanager
async def travelling(road: Road, members: tuple[Member, Member]) -> AsyncIterator[Traveller]:
    """A VM at the first host of which both know, and whose life is marked."""
    traveller = await asyncio.to_thread(Traveller, road)
    try:
        await until(lambda: all(one.owners(traveller.vm) == {HostId("host1")} for one in members))
        await until(lambda: bool(members[0].hypervisor._lives.here(Uuid(traveller.vm))))
        yield traveller
    finally:
        await asyncio.to_thread(traveller.discard)


async def test_a_vm_of_the_other_host_is_killed_there(road: Road, members: tuple[Member, Member]) -> None:
    async with travelling(road, members) as traveller:
        outcome = await members[1].off(traveller.vm)
        assert (outcome.ok, outcome.reason) == (True, Reason.PROVEN_OFF)
        assert traveller.lives == 0
        again = await members[1].off(traveller.vm)
        assert (again.ok, again.reason) == (True, Reason.ALREADY_OFF)


async def test_a_vm_that_has_migrated_is_killed_where_it_is(road: Road, members: tuple[Member, Member]) -> None:
    async with travelling(road, members) as traveller:
        traveller.depart()
        assert await asyncio.to_thread(traveller.arrive)
        await until(lambda: members[0].owners(traveller.vm) == {HostId("host2")})
        outcome = await members[0].off(traveller.vm)
        assert (outcome.ok, outcome.reason) == (True, Reason.PROVEN_OFF)
        assert {seen.host for seen in outcome.observations if seen.state is VmState.OFF} >= {HostId("host2")}
        assert traveller.lives == 0
        again = await members[0].off(traveller.vm)  # it left host1, and that life is the one that ended at host2
        assert (again.ok, again.reason) == (True, Reason.ALREADY_OFF)


async def test_a_vm_that_migrated_away_and_was_not_seen_to_end_is_not_called_off(
    road: Road, members: tuple[Member, Member]
) -> None:
    """S2, though every member denies it twice: its life may be where no member is."""
    async with travelling(road, members) as traveller:
        traveller.depart()
        assert await asyncio.to_thread(traveller.arrive)
        await until(lambda: members[0].owners(traveller.vm) == {HostId("host2")})
        members[1].hypervisor._lives._past.clear()
        members[1].hypervisor._lives._here.clear()
        await asyncio.to_thread(road.target.libvirtd.admin.lookupByUUIDString(traveller.vm).destroy)
        await until(lambda: not members[0].owners(traveller.vm))
        outcome = await members[0].off(traveller.vm)
        assert (outcome.ok, outcome.reason) == (False, Reason.NOT_PROVEN)
        assert "nobody saw it end" in outcome.text


def turn(traveller: Traveller, way: str) -> None:
    """Once the copy has begun, let it run at the target at once, or call the migration off; a kill may be faster."""
    while way in WAYS[2:] and not traveller.arrived:
        try:
            traveller.domain.migrateStartPostCopy() if way == "post-copy" else traveller.domain.abortJob()
        except libvirt.libvirtError:
            time.sleep(0.02)
        else:
            return


async def test_in_mid_migration_off_is_never_said_of_a_vm_that_has_a_process(
    road: Road, members: tuple[Member, Member]
) -> None:
    dice, told, successes = random.Random(), list[str](), 0
    for number in range(ROUNDS):
        async with travelling(road, members) as traveller:
            way, moment, door = WAYS[number % len(WAYS)], dice.uniform(0.0, 1.2), dice.choice((0, 1))
            flags = MOVE | (libvirt.VIR_MIGRATE_POSTCOPY if way == "post-copy" else 0)
            traveller.depart(flags, 0 if way == "fast" else SLOW)
            turning = asyncio.create_task(asyncio.to_thread(turn, traveller, way))
            await asyncio.sleep(moment)
            outcome = await members[door].off(traveller.vm)
            left = traveller.lives
            await asyncio.gather(turning, asyncio.to_thread(traveller.arrive))
            told.append(f"{way}, {moment:.2f} s, host{door + 1}: {outcome.reason.value}, {left} left: {outcome.text}")
            successes += outcome.ok
            assert not outcome.ok or (left, traveller.lives) == (0, 0), told[-1]
    print(*told, sep="\n")
    assert successes, told  # to fail always would be safe
