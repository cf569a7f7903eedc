"""MemoryHypervisor converts the Hypervisor port into looks at a world in memory and deeds in it, with knobs for every
fault.

It ships because the demo and the tests run on it; the contract suite that runs on libvirt and QEMU runs on it too, so
that it stays true.  Several of them may share a world: between their hosts VMs migrate.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fencebus_agent.death import Witness
from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import (
    DomainEvent,
    EventSink,
    HypervisorError,
    HypervisorUnreachable,
    Permit,
    Presence,
    UnknownDomain,
)
from fencebus_agent.memory_admin import Administrator
from fencebus_agent.memory_host import MemoryHost, Remembered, speaks_of_migration
from fencebus_agent.memory_machines import Glance, WorldEvent, WorldRefusal
from fencebus_agent.memory_vm import MemoryVm
from fencebus_agent.memory_world import World
from fencebus_agent.patience import set_by
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import HostId, Incarnation, Observation, Proof, Sight, Uuid, VmRecord, VmState, as_uuid

__all__ = ["MemoryHypervisor", "MemoryVm", "VmFaults"]


@dataclass(slots=True)
class VmFaults:
    """What goes wrong with one VM; change it at any time."""

    survives_kill: bool = False
    """Its process never ends."""
    exit_takes: float = 0.0
    """Seconds from the kill to the end of its process."""
    start_takes: float = 0.0
    """Seconds that a start takes."""
    start_fails: str = ""
    """The text of the error that every start raises."""
    in_flight: bool = False
    """A migration job is seen at every look."""


class MemoryHypervisor:
    """The Hypervisor port over one host of a world.  ``unreachable`` and ``hangs`` are knobs for the whole of it.

    world: shared with others; its own by default.  past: what an earlier one of this host remembered.
    Raises nothing but what the port allows.  Not for use from several threads.
    """

    def __init__(
        self,
        host: HostId,
        incarnation: Incarnation,
        vms: Iterable[MemoryVm] = (),
        name: str = "memory:///",
        clock: Clock = boottime,
        world: World | None = None,
        past: Remembered | None = None,
    ) -> None:
        self._witness, self._name, self._clock = Witness(host, incarnation), name, clock
        self._world = World(draw=lambda: secrets.token_hex(8)) if world is None else world
        self._world.add_host(host)
        self._admin = Administrator(self._world, host, clock)
        for vm in vms:
            self._admin.put(vm)
        if world is None:
            self._world.pop_events()  # nobody heard them
        self._host = MemoryHost(self._world, self._witness, past)
        self._world.listen(host, self._hear)
        self._faults: defaultdict[Uuid, VmFaults] = defaultdict(VmFaults)
        self._turns: defaultdict[Uuid, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sinks: list[EventSink] = []
        self._generation = 0
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._connected, self._hangs, self._closed = True, False, False

    # ---- knobs

    @property
    def unreachable(self) -> bool:
        """No connection: every call fails with HypervisorUnreachable at its deadline, or goes on once this is False
        again.
        """
        return not self._connected

    @unreachable.setter
    def unreachable(self, on: bool) -> None:
        self._connected = not on
        self._settle()

    @property
    def hangs(self) -> bool:
        """Every call hangs; to the caller that is the same as a lost connection."""
        return self._hangs

    @hangs.setter
    def hangs(self, on: bool) -> None:
        self._hangs = on
        self._settle()

    def _settle(self) -> None:
        if self._connected and not self._hangs:
            self._healthy.set()
        else:
            self._healthy.clear()

    @property
    def world(self) -> World:
        """The truth beneath: migrations, crashes and whatever else an administrator does."""
        return self._world

    @property
    def remembered(self) -> Remembered:
        """What a restart must not forget."""
        return self._host.remembered

    def faults(self, vm: Uuid) -> VmFaults:
        """The knobs of one VM.  Raises UnknownDomain."""
        self._need(vm)
        return self._faults[vm]

    def define(self, vm: MemoryVm) -> None:
        """Add a VM, or put another in its place."""
        self._admin.put(vm)

    def undefine(self, vm: Uuid) -> None:
        """Forget a VM without a trace, as a migration to a host outside of the world does."""
        self._need(vm)
        self._world.forget(self._witness.host, vm)
        self._tell(DomainEvent(vm, "undefined"))

    def happen(self, vm: Uuid, state: VmState) -> None:
        """Change a VM's state as its guest or an administrator would: shut down, pause, save, start, await it."""
        self._need(vm)
        self._admin.turn(vm, state)

    # ---- the port

    @property
    def name(self) -> str:
        """The URI, for messages."""
        return self._name

    async def run(self) -> None:
        """Nothing to connect and nothing to heal: wait to be cancelled."""
        await asyncio.Event().wait()

    async def wait_ready(self, deadline: Deadline) -> None:
        """Return once reachable; HypervisorUnreachable at the deadline."""
        if deadline.expired or not await set_by(self._healthy, deadline):  # what is late does nothing (S12)
            raise HypervisorUnreachable(self._name, "no answer until the deadline")

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs with their states as they are now."""
        await self.wait_ready(deadline)
        with self._speaking():
            return [self._record(vm) for vm in self._host.vms()]

    async def find(self, target: str, deadline: Deadline) -> VmRecord | None:
        """The VM of this UUID or name; UNKNOWN, never OFF, if its life was seen to leave."""
        await self.wait_ready(deadline)
        with self._speaking():
            vm = self._resolve(target)
            return None if vm is None else self._record(vm)

    async def look(self, vm: Uuid, deadline: Deadline) -> Sight:
        """See SightedHypervisor.  Events of this world are heard in the moment in which they happen."""
        await self.wait_ready(deadline)
        with self._speaking():
            return self._host.sight(vm)

    async def power_off(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Look, ask the permit, end the life, wait for its end."""
        await self.wait_ready(deadline)
        self._need(vm)
        async with self._turns[vm]:
            with self._speaking():
                seen = self._host.glance(vm)
                if seen.life is None:
                    return self._host.at_rest(vm, seen, self._clock())
                permit(seen.life)
            if not await self._exits(self._faults[vm], deadline):
                return self._alive(vm, seen)
            with self._speaking():
                return self._host.strike(vm, seen, self._clock(), self._faults[vm].in_flight)

    async def power_on(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Begin a fresh life; a saved one is dropped."""
        await self.wait_ready(deadline)
        self._need(vm)
        async with self._turns[vm]:
            with self._speaking():
                seen = self._host.glance(vm)
                if seen.process is not None:
                    return self._running(vm, seen)
                if not self._host.may_start(vm):
                    # S15: it runs wherever it went.
                    raise HypervisorError(self._name, f"{vm} migrated away from here, and nobody saw it end")
            permit(None)
            await self._start(vm, deadline)
            return self._running(vm, seen)

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """The devices of every VM."""
        await self.wait_ready(deadline)
        with self._speaking():
            return [self._devices(self._world.description(vm)) for vm in self._host.vms()]

    def presence(self, target: str) -> Presence:
        """As it is now."""
        vm = self._resolve(target) if self._up else None
        if vm is None:
            return Presence.ABSENT
        return Presence.ALIVE if self._host.state(vm).is_claim else Presence.AT_REST

    def cluster_of(self, vm: Uuid) -> str | None:
        """The label of the VM's guest cluster."""
        return self._world.description(vm).cluster if self._up and self._host.knows(vm) else None

    def neighbours(self) -> Sequence[tuple[str, Uuid]]:
        """(MAC, VM) of every interface."""
        vms = [self._world.description(vm) for vm in (self._host.vms() if self._up else ())]
        return [(mac.lower(), vm.uuid) for vm in vms for mac in vm.macs]

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` for each change."""
        self._sinks.append(sink)

    async def close(self) -> None:
        """Hear no more of the world; idempotent."""
        self._sinks.clear()
        if not self._closed:
            self._closed = True
            self._host.close()
            self._world.stop_listening(self._witness.host, self._hear)

    # ---- inside

    @property
    def _up(self) -> bool:
        return self._world.is_up(self._witness.host)

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """What libvirt refuses, and a host that is down, in the words of the port."""
        try:
            yield
        except WorldRefusal as refused:
            raise HypervisorError(self._name, refused.why) from refused

    def _need(self, vm: Uuid) -> None:
        with self._speaking():
            if not self._host.knows(vm):
                raise UnknownDomain(self._name, f"no VM {vm}")

    def _resolve(self, target: str) -> Uuid | None:
        uuid = as_uuid(target)
        if uuid is not None:
            return uuid if self._host.lists(uuid) else None
        return next((vm for vm in self._host.vms() if self._world.description(vm).name == target), None)

    async def _exits(self, faults: VmFaults, deadline: Deadline) -> bool:
        """Wait for the end of a process that was killed; False if that takes longer than there is time."""
        if faults.survives_kill or faults.exit_takes > deadline.remaining():
            await asyncio.sleep(deadline.remaining())
            return False
        if faults.exit_takes:
            await asyncio.sleep(faults.exit_takes)
        return True

    def _alive(self, vm: Uuid, seen: Glance) -> Observation:
        with self._speaking():
            detail = f"{self._world.description(vm).name} is {seen.state.value}"
            return self._host.living(vm, seen, self._clock(), detail)

    async def _start(self, vm: Uuid, deadline: Deadline) -> None:
        faults = self._faults[vm]
        await asyncio.sleep(min(faults.start_takes, deadline.remaining()))
        if faults.start_fails:
            raise HypervisorError(self._name, faults.start_fails)
        if faults.start_takes and deadline.expired:
            raise HypervisorError(self._name, f"{self._world.description(vm).name} has not started by the deadline")
        with self._speaking():
            self._world.start(self._witness.host, vm, self._clock())

    def _running(self, vm: Uuid, seen: Glance) -> Observation:
        """What a start has come to, after a look that found ``seen``."""
        was = self._host.was(vm, seen)
        after = self._host.state(vm)
        host, incarnation = self._witness.host, self._witness.incarnation
        return Observation(vm, after, host, incarnation, Proof.NONE, self._clock(), seen.in_flight, was)

    def _devices(self, vm: MemoryVm) -> GuestDevices:
        running = self._host.state(vm.uuid) in (VmState.RUNNING, VmState.PAUSED)
        return GuestDevices(vm.uuid, vm.name, vm.lines, vm.cid, running=running)

    def _record(self, vm: Uuid) -> VmRecord:
        sheet, state = self._world.description(vm), self._host.state(vm)
        host, incarnation = self._witness.host, self._witness.incarnation
        life = self._host.mark(vm) if state.is_claim else ""
        return VmRecord(vm, sheet.name, state, host, incarnation, self._generation, sheet.cluster, life=life)

    def _hear(self, event: WorldEvent) -> None:
        self._tell(DomainEvent(event.vm, event.kind, "migration" if speaks_of_migration(event) else ""))

    def _tell(self, event: DomainEvent) -> None:
        self._generation += 1
        for sink in tuple(self._sinks):
            sink(event)
