"""LibvirtHypervisor converts the Hypervisor port into questions and orders to one libvirt, and its events into
hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import libvirt

from fencebus_agent.death import Power, Witness
from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import DomainEvent, EventSink, HypervisorError, Permit, Presence
from fencebus_agent.libvirt_driver import events
from fencebus_agent.libvirt_driver.devices import read_all_devices
from fencebus_agent.libvirt_driver.events import Meaning
from fencebus_agent.libvirt_driver.inventory import (
    Everything,
    Seen,
    look_up,
    read_all,
    read_detail,
    read_each,
    read_everything,
)
from fencebus_agent.libvirt_driver.link import Link, LinkLostError
from fencebus_agent.libvirt_driver.lookout import Lookout
from fencebus_agent.libvirt_driver.processes import finder_for
from fencebus_agent.libvirt_driver.reading import read_facts
from fencebus_agent.libvirt_driver.starting import Booted, Start, boot
from fencebus_agent.libvirt_driver.starts import Starts
from fencebus_agent.libvirt_driver.undertaker import Undertaker
from fencebus_agent.lives import Lives
from fencebus_agent.process_watch import ProcessWatch
from fencebus_agent.roster import Remembered, Roster
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import HostId, Incarnation, Observation, Proof, Sight, Uuid, VmRecord, VmState, as_uuid

log = logging.getLogger(__name__)

T = TypeVar("T")

REREAD = 30.0  # seconds within which a hint must have been followed up
LAG = 0.03  # seconds between two looks while libvirt has not noticed an exit; it does within 0.2 s (facts: libvirt 4.3)
LAG_LOOKS = 30
MARK_BYTES = 16


class LibvirtHypervisor:
    """One libvirt.  Build and use it on the asyncio loop.

    uri: as libvirt takes it.  host, incarnation: who speaks in observations.  check_disks: False is the administrator's
    ``death_proof = "exit"``.  pid_folder: where libvirt keeps its domains' pid files, if not beside its socket.
    read_only: look and never act, where the VMs are somebody else's to end.  acts: False in a dry run.  marks: mark the
    lives of VMs in their live metadata, so that other hosts recognise them; a host that is alone needs none.
    """

    def __init__(
        self,
        uri: str,
        host: HostId,
        incarnation: Incarnation,
        *,
        check_disks: bool = True,
        pid_folder: Path | None = None,
        read_only: bool = False,
        acts: bool = True,
        marks: bool = False,
        clock: Clock = boottime,
    ) -> None:
        self._read_only, self._acts, self._check_disks = read_only, acts, check_disks
        self._uri, self._witness, self._clock = uri, Witness(host, incarnation), clock
        self._finder = finder_for(uri, pid_folder)
        self._watch = ProcessWatch(clock)
        self._roster = Roster()
        self._starts = Starts()
        self.link = Link(uri, self, read_only)  # public: a console asks for more than this port (courtesies)
        self._lives = Lives(lambda: secrets.token_hex(MARK_BYTES))
        marks = marks and not read_only
        known_lives = self._lives if marks else None
        self._undertaker = Undertaker(
            self.link, self._finder, self._watch, self._roster, self._witness, clock, check_disks, known_lives
        )
        self._lookout = Lookout(
            self.link,
            self._finder,
            self._watch,
            self._roster,
            self._undertaker,
            self._starts,
            self._lives,
            self._tell,
            clock,
            marks=marks,
        )
        self._sinks: list[EventSink] = []
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # ---- the port

    @property
    def name(self) -> str:
        """The URI."""
        return self._uri

    async def run(self) -> None:
        """See the port."""
        await self.link.run()

    async def wait_ready(self, deadline: Deadline) -> None:
        """See the port."""
        await self.link.wait_ready(deadline)

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """See the port."""
        dying = self._undertaker.dying()
        seen = await self._ask(self._reader(frozenset(dying)), deadline)
        asked = [self._record(one.uuid, one.name, self._state(one)) for one in seen if one.uuid not in dying]
        named = [self._record(vm, self._name_of(vm), state) for vm, state in dying.items()]
        told = {record.uuid for record in (*asked, *named)}
        forgotten = [vm for vm in self._forgotten_vms() if vm not in told]
        return [*asked, *named, *[self._record(vm, self._name_of(vm), self._forgotten_state(vm)) for vm in forgotten]]

    async def find(self, target: str, deadline: Deadline) -> VmRecord | None:
        """See the port."""
        vm = as_uuid(target)
        remembered = vm or self._remembered_uuid(target)
        dying = self._undertaker.dying()
        if remembered is not None and remembered in dying:
            return self._record(remembered, self._name_of(remembered), dying[remembered])
        seen = await self._look_up(target, vm, deadline)
        if seen is not None and self._roster.known(seen.uuid) is None:
            await self._read_again(seen.uuid)  # S6: so young that its cluster label has not been read
        if seen is not None:
            return self._record(seen.uuid, seen.name, self._state(seen))
        return self._forgotten(remembered)

    async def look(self, vm: Uuid, deadline: Deadline) -> Sight:
        """See SightedHypervisor."""
        return await self._lookout.look(vm, deadline)

    async def power_off(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """See the port."""
        self.check_may_act()
        await self._await_starts(vm, deadline)
        seen = await self._undertaker.end(vm, deadline, permit)
        if seen.ended is not None:
            self._lookout.proved(vm, seen.ended.mark)
        return seen

    async def power_on(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """See the port."""
        self.check_may_act()
        if not await self._undertaker.burial(vm, deadline):
            raise HypervisorError(self._uri, "the kill before has not been finished")
        ended = self._roster.ended_domain(vm)
        try:
            # Once and never again: after a broken connection nobody knows whether it has started (S4).
            start = Start(self._uri, vm, deadline, permit, ended.xml if ended else "", self._roster.is_left(vm))
            booted = await self.link.call_once(lambda conn: self._boot(conn, start), deadline)
        except (libvirt.libvirtError, LinkLostError) as error:
            raise HypervisorError(self._uri, f"the start failed: {error}") from error
        self._roster.lives(vm, self._clock())
        if booted.run is not None:
            self._roster.booted(vm, booted.run, self._clock())
        before = booted.before
        was = VmState.OFF if before is Power.GONE else before.state
        after = VmState.RUNNING if before.over else before.state
        host, incarnation = self._witness.host, self._witness.incarnation
        return Observation(vm, after, host, incarnation, Proof.NONE, self._clock(), before.migrates, was)

    def _boot(self, conn: libvirt.virConnect, start: Start) -> Booted:
        with self._starts.under_way(start.vm):
            return boot(conn, start, self._finder)

    async def _await_starts(self, vm: Uuid, deadline: Deadline) -> None:
        if not await self._starts.settled(vm, deadline):
            raise HypervisorError(
                self._uri, "an earlier start of it has not come back from libvirt, and may still succeed"
            )

    def check_may_act(self) -> None:
        """Raises HypervisorError where this driver only looks: also whoever acts past this port has to ask."""
        if self._read_only or not self._acts:
            raise HypervisorError(self._uri, "it is opened to look only: nothing here is ended, started or changed")

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """See the port."""
        return await self._ask(read_all_devices, deadline)

    def presence(self, target: str) -> Presence:
        """See the port.  Without a process to watch, a VM that is known counts as alive."""
        vm = as_uuid(target) or self._roster.named(target) or self._watch.named(target)
        if vm is None:
            return Presence.ABSENT
        if self._watch.alive(vm):
            return Presence.ALIVE
        if self._roster.known(vm) is None:
            return Presence.ABSENT
        return Presence.AT_REST if self._finder else Presence.ALIVE

    def cluster_of(self, vm: Uuid) -> str | None:
        """See the port."""
        known, ended = self._roster.known(vm), self._roster.ended_domain(vm)
        if known is not None:
            return known.cluster
        return read_facts(ended.xml).cluster if ended else None

    def neighbours(self) -> Sequence[tuple[str, Uuid]]:
        """See the port."""
        return self._roster.addresses()

    def subscribe(self, sink: EventSink) -> None:
        """See the port."""
        self._sinks.append(sink)

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        await self._undertaker.close()
        await self._lookout.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()
        self._watch.close()

    # ---- what a restart must not forget

    @property
    def remembered(self) -> Remembered:
        """Transient VMs that were ended here, VMs and lives that left: keep it on this host's disk."""
        return replace(self._roster.remembered, lives=self._lives.remembered)

    def remember(self, past: Remembered) -> None:
        """Take up what an earlier run kept.  Before run()."""
        self._roster.remember(past if self._check_disks else replace(past, lingering=()))
        self._lives.remember(past.lives)

    # ---- the link's events

    def connected(self, conn: libvirt.virConnect) -> Sequence[int]:
        """Register for events, then learn what there is; in a worker thread."""
        registrations = events.register(conn, self._hear)
        at = self._clock()
        everything = read_everything(conn, self._finder)
        self._in_loop(lambda: self._learn_all(everything, at))
        return registrations

    def lost(self) -> None:
        """Events may be missed from now on; the next inventory makes good for them."""
        self._roster.lost()
        self._lookout.lost()

    # ---- libvirt's events, in libvirt's thread

    def _hear(self, domain: libvirt.virDomain, meaning: Meaning) -> None:
        vm, at, run = Uuid(domain.UUIDString()), self._clock(), domain.ID()
        self._in_loop(lambda: self._heard(vm, meaning, at, run))

    def _in_loop(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call)

    # ---- the same, in the loop

    def _heard(self, vm: Uuid, meaning: Meaning, at: float, run: int) -> None:
        self._roster.turn(vm, meaning.turn, at, run)
        self._lookout.heard(vm, meaning, run)
        self._tell(DomainEvent(vm, meaning.kind, meaning.detail))
        if meaning.kind not in ("rebooted", "resumed", "suspended"):
            self._spawn(self._read_again(vm))

    def _tell(self, event: DomainEvent) -> None:
        for sink in tuple(self._sinks):
            sink(event)

    def _learn_all(self, everything: Everything, at: float) -> None:
        self._roster.learn_all(everything.known, at)
        for held in everything.held:
            self._watch.follow(held)
        for seen in everything.seen:
            self._lookout.found(seen.uuid, seen.power)
            if seen.power.plain:
                self._roster.lives(seen.uuid, at)
            elif seen.power is Power.LEFT and not self._roster.is_left(seen.uuid):
                self._roster.read_to_have_left(seen.uuid)
                self._tell(DomainEvent(seen.uuid, "stopped", "migration"))  # as the event that nobody heard

    async def _read_again(self, vm: Uuid) -> None:
        at = self._clock()
        try:
            detail = await self._ask(
                lambda conn: read_detail(conn, vm, self._finder), Deadline.after(REREAD, self._clock)
            )
        except HypervisorError as error:
            log.warning("could not read %s again: %s", vm, error)
            return
        if detail.running:
            self._roster.lives(vm, at)
        for held in detail.held:
            self._watch.follow(held)
        if detail.known is None:
            self._roster.forget(vm)
        elif self._roster.learn(detail.known):
            self._tell(DomainEvent(vm, "labelled"))  # whoever heard of the change may have asked before it was read

    # ---- questions

    async def _ask(self, question: Callable[[libvirt.virConnect], T], deadline: Deadline) -> T:
        try:
            return await self.link.call(question, deadline)
        except libvirt.libvirtError as error:
            raise HypervisorError(self._uri, str(error)) from error

    def _reader(self, dying: frozenset[Uuid]) -> Callable[[libvirt.virConnect], Sequence[Seen]]:
        """How to read the inventory: in one go, unless that would wait for a VM that is being killed."""
        others = [vm for vm in self._roster.vms() if vm not in dying]
        return (lambda conn: read_each(conn, others)) if dying else read_all

    async def _look_up(self, target: str, vm: Uuid | None, deadline: Deadline) -> Seen | None:
        """Ask; ask again while libvirt says "running" of a VM whose process the kernel does not show."""
        arriving = vm is not None and self._roster.is_arriving(vm)
        seen = await self._ask(lambda conn: look_up(conn, target, vm, arriving), deadline)
        for _ in range(LAG_LOOKS):
            if seen is None or not self._lacks_process(seen) or deadline.expired:
                break
            await self._read_again(seen.uuid)  # it may be so young that nobody follows it yet
            if self._watch.alive(seen.uuid):
                break
            await asyncio.sleep(LAG)
            seen = await self._ask(lambda conn: look_up(conn, target, vm, arriving), deadline)
        return seen

    def _lacks_process(self, seen: Seen) -> bool:
        followed = self._finder is None or self._watch.alive(seen.uuid)
        return seen.power.plain and not followed and not self._undertaker.proven_off(seen.uuid)

    # ---- words

    def _state(self, seen: Seen) -> VmState:
        if self._undertaker.proven_off(seen.uuid):
            return VmState.OFF
        if seen.power in (Power.OFF, Power.LEFT) and self._watch.alive(seen.uuid):
            return VmState.RUNNING  # libvirt has given up a process that the kernel still has
        if seen.power is Power.OFF and (self._roster.is_left(seen.uuid) or self._roster.lingering(seen.uuid)):
            return VmState.UNKNOWN  # off here, which does not prove that nothing of it runs or writes
        if seen.power is Power.OUTGOING and self._roster.is_arriving(seen.uuid):
            return VmState.INCOMING
        return seen.power.state

    def _remembered_uuid(self, name: str) -> Uuid | None:
        """The VM that had this name, of those that libvirt may not know any more."""
        ended = (domain.uuid for domain in self._roster.ended_domains() if domain.name == name)
        return self._roster.named(name) or next(ended, None) or self._watch.named(name)

    def _forgotten(self, vm: Uuid | None) -> VmRecord | None:
        """A VM that libvirt does not know: ended here, or given up while its process lives."""
        if vm is None or not (self._roster.ended_domain(vm) or self._watch.alive(vm)):
            return None
        return self._record(vm, self._name_of(vm), self._forgotten_state(vm))

    def _forgotten_state(self, vm: Uuid) -> VmState:
        if self._watch.alive(vm):
            return VmState.RUNNING
        return VmState.UNKNOWN if self._roster.lingering(vm) else VmState.OFF

    def _forgotten_vms(self) -> Sequence[Uuid]:
        """VMs of this libvirt that it may not know any more: ended here, or given up while their process lives."""
        given_up = [process.qemu.vm for process in self._watch.everything() if self._roster.known(process.qemu.vm)]
        ended = [domain.uuid for domain in self._roster.ended_domains()]
        return list(dict.fromkeys([*ended, *given_up]))

    def _name_of(self, vm: Uuid) -> str:
        known, ended = self._roster.known(vm), self._roster.ended_domain(vm)
        if known or ended:
            return known.name if known else ended.name if ended else ""
        return next((watched.qemu.name for watched in self._watch.alive(vm)), "")

    def _record(self, vm: Uuid, name: str, state: VmState) -> VmRecord:
        host, incarnation = self._witness.host, self._witness.incarnation
        life = self._lives.here(vm) if state.is_claim else ""
        return VmRecord(vm, name, state, host, incarnation, self._roster.generation, self.cluster_of(vm), life=life)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._closed:  # an event on its way while the connection closes: nobody would end what it began
            work.close()
            return
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
