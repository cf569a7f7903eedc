"""Three worlds behind the Hypervisor port, each with the means to make VMs in it: memory, libvirt's test driver, real
QEMU.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

import libvirt

from fencebus_agent.hypervisor import Hypervisor, SightedHypervisor
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Life, Proof, Uuid, VmState
from tests.libvirtd import Libvirtd, guest_xml

HOST = HostId("host1")
INCARNATION = Incarnation("boot", "machine", "nonce")

EMPTY_TEST_WORLD = "<node><cpu><mhz>1000</mhz></cpu></node>"
TEST_GUEST = """\
<domain type='test'><name>{name}</name><uuid>{vm}</uuid><memory>16384</memory><os><type>hvm</type></os>
<devices><interface type='user'><mac address='{mac}'/></interface></devices></domain>
"""
NIC = "<interface type='user'><mac address='{mac}'/><model type='e1000'/><rom enabled='no'/></interface>"


def soon(seconds: float = 30.0) -> Deadline:
    """A deadline for calls that ought to succeed."""
    return Deadline.after(seconds)


def allow(_life: Life | None) -> None:
    """The permit that permits."""


async def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return once the condition holds; fail if it does not within the time."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true in time")


def fresh_name() -> str:
    """A name no other test has."""
    return f"vm-{uuid.uuid4().hex[:8]}"


class World(Protocol):
    """A hypervisor, and what a test may do to it behind the driver's back."""

    @property
    def hypervisor(self) -> SightedHypervisor:
        """The driver."""

    @property
    def proof(self) -> Proof:
        """What its off is proven by."""

    async def add(self, name: str, state: VmState = VmState.RUNNING, *, transient: bool = False, mac: str = "") -> Uuid:
        """Make a VM in this state."""


class MemoryWorld:
    """The dictionary."""

    proof = Proof.PROCESS_EXIT

    def __init__(self) -> None:
        self.hypervisor = MemoryHypervisor(HOST, INCARNATION)

    async def add(self, name: str, state: VmState = VmState.RUNNING, *, transient: bool = False, mac: str = "") -> Uuid:
        """See World."""
        vm = Uuid(str(uuid.uuid4()))
        self.hypervisor.define(MemoryVm(vm, name, state, not transient, (mac,) if mac else ()))
        return vm


class LibvirtWorld:
    """A libvirt; ``admin`` is the connection behind the driver's back."""

    def __init__(self, hypervisor: LibvirtHypervisor, proof: Proof, daemon: Libvirtd | None) -> None:
        self.hypervisor, self.proof, self._daemon = hypervisor, proof, daemon
        self.made: list[str] = []

    @property
    def admin(self) -> libvirt.virConnect:
        """The test driver keeps its world in a connection: there it has to be the driver's own."""
        if self._daemon is not None:
            return self._daemon.admin
        conn = self.hypervisor.link._events
        assert conn is not None
        return conn

    async def add(self, name: str, state: VmState = VmState.RUNNING, *, transient: bool = False, mac: str = "") -> Uuid:
        """See World."""
        return await asyncio.to_thread(self._add, name, state, transient, mac)

    async def clean(self) -> None:
        """Discard what was made."""
        for vm in self.made:
            if self._daemon is not None:
                await asyncio.to_thread(self._daemon.discard, vm)

    def _add(self, name: str, state: VmState, transient: bool, mac: str) -> Uuid:
        vm = str(uuid.uuid4())
        self.made.append(vm)
        domain = self._create(self._xml(name, vm, mac), transient, state is not VmState.OFF)
        if state is VmState.PAUSED:
            domain.suspend()
        if state is VmState.SAVED:
            domain.managedSave()
        return Uuid(vm)

    def _create(self, xml: str, transient: bool, start: bool) -> libvirt.virDomain:
        if transient:
            return self.admin.createXML(xml)
        domain = self.admin.defineXML(xml)
        if start:
            domain.create()
        return domain

    def _xml(self, name: str, vm: str, mac: str) -> str:
        if self._daemon is None:
            return TEST_GUEST.format(name=name, vm=vm, mac=mac or "52:54:00:00:00:01")
        return guest_xml(name, vm, NIC.format(mac=mac) if mac else "")


@contextlib.asynccontextmanager
async def one_run(hypervisor: Hypervisor) -> AsyncIterator[None]:
    """Run a driver as long as the context lasts; it may run again."""
    task = asyncio.create_task(hypervisor.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(hypervisor: Hypervisor) -> AsyncIterator[None]:
    """The only run of a driver, from when it is ready."""
    try:
        async with one_run(hypervisor):
            await hypervisor.wait_ready(soon())
            yield
    finally:
        await hypervisor.close()


@contextlib.asynccontextmanager
async def memory_world() -> AsyncIterator[MemoryWorld]:
    """The dictionary, running."""
    world = MemoryWorld()
    async with serving(world.hypervisor):
        yield world


@contextlib.asynccontextmanager
async def driver_world(folder: Path, *, marks: bool = False, acts: bool = True) -> AsyncIterator[LibvirtWorld]:
    """libvirt's test driver over a file without domains, running."""
    file = folder / "world.xml"
    file.write_text(EMPTY_TEST_WORLD)
    hypervisor = LibvirtHypervisor(f"test://{file}", HOST, INCARNATION, acts=acts, marks=marks)
    async with serving(hypervisor):
        yield LibvirtWorld(hypervisor, Proof.HYPERVISOR_WORD, None)


@contextlib.asynccontextmanager
async def qemu_world(daemon: Libvirtd, *, marks: bool = False) -> AsyncIterator[LibvirtWorld]:
    """Real QEMU, running."""
    await asyncio.to_thread(daemon.revive)
    hypervisor = LibvirtHypervisor(daemon.uri, HOST, INCARNATION, marks=marks)
    async with serving(hypervisor):
        world = LibvirtWorld(hypervisor, Proof.PROCESS_EXIT, daemon)
        yield world
        await world.clean()
