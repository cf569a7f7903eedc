"""Decides how a hypervisor made of nothing behaves: VMs in a dictionary, a clock from outside, and knobs for every
fault.

It ships because the demo, the tests and the simulation of many hosts run on it; the contract suite that runs on
libvirt and QEMU runs on it too, so that it stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
from fencebus_agent.memory_vm import MemoryVm
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import HostId, Incarnation, Life, Observation, Proof, Uuid, VmRecord, VmState, as_uuid

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


class _Vm:
    """One VM's moving parts."""

    def __init__(self, vm: MemoryVm) -> None:
        self.uuid, self.name, self.persistent, self.macs = vm.uuid, vm.name, vm.persistent, vm.macs
        self.cluster = vm.cluster
        self.devices = GuestDevices(vm.uuid, vm.name, vm.lines, vm.cid)
        self.state = vm.state
        self.life: Life | None = Life(f"{vm.uuid}#0") if vm.state.is_claim else None
        self.lives = 0
        self.faults = VmFaults()
        self.turn = asyncio.Lock()


class MemoryHypervisor:
    """The Hypervisor port over a dictionary.  ``unreachable`` and ``hangs`` are knobs for the whole of it.

    Raises nothing but what the port allows.  Not for use from several threads.
    """

    def __init__(
        self,
        host: HostId,
        incarnation: Incarnation,
        vms: Iterable[MemoryVm] = (),
        name: str = "memory:///",
        clock: Clock = boottime,
    ) -> None:
        self._host, self._incarnation, self._name, self._clock = host, incarnation, name, clock
        self._vms: dict[Uuid, _Vm] = {vm.uuid: _Vm(vm) for vm in vms}
        self._sinks: list[EventSink] = []
        self._generation = 0
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._connected = True
        self._hangs = False

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

    def faults(self, vm: Uuid) -> VmFaults:
        """The knobs of one VM.  Raises UnknownDomain."""
        return self._get(vm).faults

    def define(self, vm: MemoryVm) -> None:
        """Add a VM, or put another in its place."""
        self._vms[vm.uuid] = _Vm(vm)
        self._tell(vm.uuid, "defined")

    def undefine(self, vm: Uuid) -> None:
        """Forget a VM without a trace, as a migration away does."""
        self._get(vm)
        del self._vms[vm]
        self._tell(vm, "undefined")

    def happen(self, vm: Uuid, state: VmState) -> None:
        """Change a VM's state as its guest or an administrator would: shut down, pause, save, start."""
        target = self._get(vm)
        if state.is_claim and not target.state.is_claim:
            self._begin_life(target)
        self._become(target, state)

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
        try:
            await asyncio.wait_for(self._healthy.wait(), deadline.remaining())
        except TimeoutError:
            raise HypervisorUnreachable(self._name, "no answer until the deadline") from None

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs with their states as they are now."""
        await self.wait_ready(deadline)
        return [self._record(vm) for vm in self._vms.values()]

    async def find(self, target: str, deadline: Deadline) -> VmRecord | None:
        """The VM of this UUID or name."""
        await self.wait_ready(deadline)
        uuid = as_uuid(target)
        for vm in self._vms.values():
            if vm.uuid == uuid or (uuid is None and vm.name == target):
                return self._record(vm)
        return None

    async def power_off(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Look, ask the permit, end the life, wait for its end."""
        await self.wait_ready(deadline)
        target = self._get(vm)
        async with target.turn:
            was, life, in_flight = target.state, target.life, target.faults.in_flight
            if not was.is_claim:
                return self._observation(target, was, None, in_flight)
            permit(life)
            await self._end(target, deadline)
            return self._observation(target, was, life, in_flight or was is VmState.INCOMING)

    async def power_on(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Begin a fresh life; a saved one is dropped."""
        await self.wait_ready(deadline)
        target = self._get(vm)
        async with target.turn:
            was = target.state
            if was.is_claim and was is not VmState.SAVED:
                return self._observation(target, was, None, False)
            permit(None)
            await self._start(target, deadline)
            return self._observation(target, was, None, False)

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """The devices of every VM."""
        await self.wait_ready(deadline)
        running = (VmState.RUNNING, VmState.PAUSED)
        return [replace(vm.devices, running=vm.state in running) for vm in self._vms.values()]

    def presence(self, target: str) -> Presence:
        """As it is now."""
        wanted = as_uuid(target)
        for vm in self._vms.values():
            if vm.uuid == wanted or vm.name == target:
                return Presence.ALIVE if vm.state.is_claim else Presence.AT_REST
        return Presence.ABSENT

    def cluster_of(self, vm: Uuid) -> str | None:
        """The label of the VM's guest cluster."""
        known = self._vms.get(vm)
        return known.cluster if known else None

    def neighbours(self) -> Sequence[tuple[str, Uuid]]:
        """(MAC, VM) of every interface."""
        return [(mac.lower(), vm.uuid) for vm in self._vms.values() for mac in vm.macs]

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` for each change."""
        self._sinks.append(sink)

    async def close(self) -> None:
        """Nothing is held."""
        self._sinks.clear()

    # ---- inside

    def _get(self, vm: Uuid) -> _Vm:
        try:
            return self._vms[vm]
        except KeyError:
            raise UnknownDomain(self._name, f"no VM {vm}") from None

    async def _end(self, vm: _Vm, deadline: Deadline) -> None:
        faults = vm.faults
        if faults.survives_kill or faults.exit_takes > deadline.remaining():
            await asyncio.sleep(deadline.remaining())
            return
        if faults.exit_takes:
            await asyncio.sleep(faults.exit_takes)
        vm.life = None
        self._become(vm, VmState.OFF)

    async def _start(self, vm: _Vm, deadline: Deadline) -> None:
        faults = vm.faults
        await asyncio.sleep(min(faults.start_takes, deadline.remaining()))
        if faults.start_fails:
            raise HypervisorError(self._name, faults.start_fails)
        if faults.start_takes and deadline.expired:
            raise HypervisorError(self._name, f"{vm.name} has not started by the deadline")
        self._begin_life(vm)
        self._become(vm, VmState.RUNNING)

    def _begin_life(self, vm: _Vm) -> None:
        vm.lives += 1
        vm.life = Life(f"{vm.uuid}#{vm.lives}", self._clock())

    def _become(self, vm: _Vm, state: VmState) -> None:
        if not state.is_claim:
            vm.life = None
        vm.state = state
        self._tell(vm.uuid, _EVENTS.get(state, state.value))

    def _tell(self, vm: Uuid, kind: str) -> None:
        self._generation += 1
        for sink in tuple(self._sinks):
            sink(DomainEvent(vm, kind))

    def _record(self, vm: _Vm) -> VmRecord:
        host, incarnation = self._host, self._incarnation
        return VmRecord(vm.uuid, vm.name, vm.state, host, incarnation, self._generation, vm.cluster)

    def _observation(self, vm: _Vm, was: VmState, ended: Life | None, in_flight: bool) -> Observation:
        proven = vm.state is VmState.OFF and not in_flight
        gone = vm.state is VmState.OFF and in_flight
        return Observation(
            vm.uuid,
            VmState.UNKNOWN if gone else vm.state,
            self._host,
            self._incarnation,
            Proof.PROCESS_EXIT if proven else Proof.NONE,
            self._clock(),
            in_flight,
            was,
            ended if vm.state is VmState.OFF else None,
            _why_unproven(vm.name, vm.state, in_flight),
        )


_EVENTS = {VmState.RUNNING: "started", VmState.OFF: "stopped", VmState.PAUSED: "suspended", VmState.SAVED: "stopped"}


def _why_unproven(name: str, state: VmState, in_flight: bool) -> str:
    if in_flight:
        return f"{name} was migrating"
    return "" if state is VmState.OFF else f"{name} is {state.value}"
