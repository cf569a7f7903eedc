"""Decides the truth about one set of VMs on several hosts: which life of which VM runs, rests or travels where.

Pure, synchronous and deterministic: time is passed in, marks are counted, nothing happens by itself.  The hypervisor in
memory is an asyncio shell over it, and the simulation of many hosts runs on it unchanged.  It does what an
administrator with libvirt can do, also what is unwise (a second copy of a VM that runs elsewhere); what libvirt refuses
is a WorldRefusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import (
    Domain,
    Glance,
    Hold,
    Listener,
    Machines,
    Mark,
    Process,
    Why,
    WorldEvent,
    WorldRefusal,
    Writer,
)
from fencebus_agent.memory_migration import Migration, Route
from fencebus_agent.memory_vm import MemoryVm
from fencebus_schemas.model import HostId, Uuid

__all__ = ["LifeRecord", "Migration", "Route", "World", "WorldEvent", "WorldRefusal", "Writer"]


@dataclass(frozen=True, slots=True)
class LifeRecord:
    """A life's whole story, for an oracle."""

    mark: Mark
    vm: Uuid
    host: HostId
    """Where it began."""
    began_at: float
    """On the world's clock."""


class World:
    """The truth.  Every verb raises WorldRefusal if libvirt would answer it with an error, and has done nothing then;
    ``at`` is the time on the world's clock.
    """

    def __init__(self, hosts: Iterable[HostId] = (), draw: Callable[[], str] | None = None) -> None:
        """draw: a new mark for each life, where those of several worlds may meet; else they are counted."""
        self._machines, self._draw = Machines(), draw
        self._lives: dict[Mark, LifeRecord] = {}
        self._migrations: list[Migration] = []
        self._sheets: dict[Uuid, MemoryVm] = {}
        for host in hosts:
            self.add_host(host)

    # ---- hosts

    def add_host(self, host: HostId) -> None:
        """A host that is up and has no VM; nothing changes if there is such a host."""
        self._machines.up.setdefault(host, True)

    @property
    def hosts(self) -> Sequence[HostId]:
        """All hosts, up or down, in the order in which they came."""
        return tuple(self._machines.up)

    def is_up(self, host: HostId) -> bool:
        """True if the host exists and is up."""
        return self._machines.up.get(host, False)

    def crash(self, host: HostId) -> None:
        """All processes there end without a word, incoming ones and saves in the making too; its disk stays."""
        self._machines.need_up(host)
        self._machines.up[host] = False
        for vm, domain in self._domains_of(host):
            domain.why = Why.UNKNOWN  # kept in memory alone: a libvirt that starts again has forgotten it
            if domain.process is not None:
                self._finish(host, vm, domain.process, Why.UNKNOWN)

    def boot(self, host: HostId, autostart: Iterable[Uuid], at: float) -> Sequence[Mark]:
        """The host comes up.  Of its persistent VMs those in ``autostart`` start: restored where they were saved, else
        afresh, wherever else they run.  Returns their lives.
        """
        if host not in self._machines.up or self.is_up(host):
            raise WorldRefusal(host, None, "only a host that is down can boot")
        self._machines.up[host] = True
        return [self.create(host, vm, at) for vm in autostart if (host, vm) in self._machines.domains]

    # ---- definitions

    def describe(self, vm: MemoryVm) -> None:
        """Name, addresses and devices: they travel with the VM."""
        self._sheets[vm.uuid] = vm

    def description(self, vm: Uuid) -> MemoryVm:
        """What was described; a VM of which nobody said anything is named by its UUID."""
        return self._sheets.get(vm) or MemoryVm(vm, vm)

    def define(self, host: HostId, vm: Uuid) -> None:
        """Make it persistent there; what runs goes on."""
        self._machines.need_up(host, vm)
        self._machines.domains.setdefault((host, vm), Domain(persistent=True)).persistent = True
        self._machines.say(host, vm, "defined", "added")

    def undefine(self, host: HostId, vm: Uuid) -> None:
        """Drop the definition: what runs goes on as transient, what is off is forgotten.  Not with a saved image."""
        domain = self._machines.need_domain(host, vm)
        if domain.image is not None:
            raise WorldRefusal(host, vm, "managed save image exists")
        domain.persistent = False
        self._machines.settle(host, vm)
        self._machines.say(host, vm, "undefined", "removed")

    def forget(self, host: HostId, vm: Uuid) -> None:
        """All of it there is gone without a word, process and image too, as if it had gone to a host outside of this
        world.
        """
        domain = self._machines.need_domain(host, vm)
        domain.persistent, domain.image = False, None
        if domain.process is not None:
            self._finish(host, vm, domain.process, Why.UNKNOWN)
        self._machines.settle(host, vm)

    # ---- lives

    def start(self, host: HostId, vm: Uuid, at: float) -> Mark:
        """A fresh boot; a saved image there is dropped (FORCE_BOOT), and a VM that is not defined becomes transient.

        Whether it runs on another host is not looked at: see ``clone``.
        """
        self._machines.need_up(host, vm)
        domain = self._machines.domains.get((host, vm))
        if domain is not None and domain.process is not None:
            raise WorldRefusal(host, vm, "already running")
        if domain is not None:
            domain.image = None
        mark = self._begin(host, vm, at)
        self._spawn(host, vm, Process(0, mark, at, Power.RUNNING, Why.BOOTED, hold=Hold.RUNS))
        self._machines.say(host, vm, "resumed", "unpaused")  # before "started" (facts: libvirt 3)
        self._machines.say(host, vm, "started", "booted")
        return mark

    def clone(self, host: HostId, vm: Uuid, at: float) -> Mark:
        """Split brain: the same UUID defined and started on another host."""
        mark = self.start(host, vm, at)
        self.define(host, vm)
        return mark

    def create(self, host: HostId, vm: Uuid, at: float) -> Mark:
        """A plain start by an administrator, or by the host's boot: restored if it was saved, else afresh."""
        if self._machines.need_domain(host, vm).image is not None:
            return self.restore(host, vm, at)
        return self.start(host, vm, at)

    def restore(self, host: HostId, vm: Uuid, at: float) -> Mark:
        """From the managed-save image, which is used up: the same life goes on."""
        domain = self._machines.need_domain(host, vm)
        if domain.image is None or domain.process is not None:
            raise WorldRefusal(host, vm, "already running" if domain.process else "no managed save image")
        mark, domain.image = domain.image, None
        self._spawn(host, vm, Process(0, mark, at, Power.RUNNING, Why.RESTORED, hold=Hold.RUNS, arrived=True))
        self._machines.say(host, vm, "started", "restored")
        self._machines.say(host, vm, "resumed", "from-snapshot")
        return mark

    def begin_save(self, host: HostId, vm: Uuid) -> None:
        """A managed save in the making: paused, with a job; an image does not exist yet."""
        process = self._plain(host, vm)
        if not self._machines.need_domain(host, vm).persistent:
            raise WorldRefusal(host, vm, "cannot do managed save for transient domain")
        process.stand(Power.PAUSED, Why.SAVING, Hold.STANDS, Job.STAYS)
        self._machines.say(host, vm, "suspended", "paused")

    def end_save(self, host: HostId, vm: Uuid) -> None:
        """The save is complete: the life rests in the image, the process is gone."""
        process = self._machines.need_process(host, vm)
        if process.why is not Why.SAVING:
            raise WorldRefusal(host, vm, "no save is in the making")
        self._machines.domains[host, vm].image = process.life
        self._machines.say(host, vm, "job-completed", "save")
        self._end(host, vm, process, Why.SAVED)

    def save(self, host: HostId, vm: Uuid) -> None:
        """Both steps of a managed save."""
        self.begin_save(host, vm)
        self.end_save(host, vm)

    def drop_image(self, host: HostId, vm: Uuid) -> Mark:
        """Set a managed-save image aside for good.  Returns the life that was in it."""
        domain = self._machines.need_domain(host, vm)
        if domain.image is None:
            raise WorldRefusal(host, vm, "no managed save image")
        mark, domain.image = domain.image, None
        if domain.why is Why.SAVED:
            domain.why = Why.DESTROYED
        self._machines.settle(host, vm)
        return mark

    def pause(self, host: HostId, vm: Uuid) -> None:
        """Suspended by an administrator; possible while a migration copies."""
        process = self._guest_here(host, vm)
        if process.power is Power.RUNNING:
            process.stand(Power.PAUSED, Why.USER, Hold.STANDS, process.job)
            self._machines.say(host, vm, "suspended", "paused")

    def resume(self, host: HostId, vm: Uuid) -> None:
        """Resumed by an administrator; a job forbids it."""
        process = self._plain(host, vm)
        process.stand(Power.RUNNING, Why.UNPAUSED, Hold.RUNS)
        self._machines.say(host, vm, "resumed", "unpaused")

    def shut_down(self, host: HostId, vm: Uuid) -> None:
        """The guest ends itself; it has to run for that."""
        process = self._machines.need_process(host, vm)
        if process.power is not Power.RUNNING:
            raise WorldRefusal(host, vm, f"its guest does not run: it is {process.power.value}")
        self._end(host, vm, process, Why.SHUTDOWN)

    def kill(self, host: HostId, vm: Uuid, why: Why = Why.DESTROYED, process: int | None = None) -> Glance | None:
        """End the process there, whatever it is (``CRASHED``: it died by itself).

        process: only if it is still that one.  Returns what stood there directly before; ``None`` if there was no such
        process, and nothing was done ("domain is not running").  What of the VM lives on elsewhere, or here in an
        image, is another matter.
        """
        self._machines.need_up(host, vm)
        target = self._machines.process_of(host, vm, process)
        if target is None:
            return None
        seen = self._machines.glance(host, vm)
        self._end(host, vm, target, why)
        return seen

    # ---- migrations

    def migrate(self, route: Route) -> Migration:
        """Begin a migration, to be stepped through its phases."""
        migration = Migration(self._machines, route)
        self._migrations = [*self.migrations, migration]
        return migration

    @property
    def migrations(self) -> Sequence[Migration]:
        """Those that are under way."""
        return tuple(migration for migration in self._migrations if not migration.phase.over)

    # ---- what is seen

    def look(self, host: HostId, vm: Uuid) -> Glance:
        """What a driver on that host can learn now.  Raises WorldRefusal if the host is down."""
        return self._machines.glance(host, vm)

    def vms(self, host: HostId) -> Sequence[Uuid]:
        """All VMs that this host's libvirt lists.  Raises WorldRefusal if the host is down."""
        self._machines.need_up(host)
        return tuple(vm for vm, _ in self._domains_of(host))

    def pop_events(self) -> Sequence[WorldEvent]:
        """What was said since the last call on hosts to which nobody listens."""
        said, self._machines.events = tuple(self._machines.events), []
        return said

    def listen(self, host: HostId, listener: Listener) -> None:
        """Call ``listener`` with each event of that host's libvirt, at once; ``pop_events`` gives them no more."""
        self._machines.listeners.setdefault(host, []).append(listener)

    def stop_listening(self, host: HostId, listener: Listener) -> None:
        """End ``listen``."""
        self._machines.listeners[host].remove(listener)

    # ---- what only an oracle knows

    def writers(self) -> Sequence[Writer]:
        """Every place from which a life may still write, now or later.  One that is not among them never will."""
        return tuple(self._machines.writers())

    def life(self, mark: Mark) -> LifeRecord:
        """A life's story, over or not."""
        return self._lives[mark]

    # ---- inside

    def _domains_of(self, host: HostId) -> Sequence[tuple[Uuid, Domain]]:
        return [(vm, domain) for (where, vm), domain in self._machines.domains.items() if where == host]

    def _begin(self, host: HostId, vm: Uuid, at: float) -> Mark:
        mark = Mark(self._draw() if self._draw else f"life-{len(self._lives) + 1}")
        self._lives[mark] = LifeRecord(mark, vm, host, at)
        return mark

    def _spawn(self, host: HostId, vm: Uuid, process: Process) -> None:
        self._machines.spawn(host, vm, process)

    def _plain(self, host: HostId, vm: Uuid) -> Process:
        """Its process, if it has the guest and no job; raises WorldRefusal else."""
        process = self._guest_here(host, vm)
        if process.job is not Job.NONE:
            raise WorldRefusal(host, vm, f"cannot acquire state change lock: {process.job.value}")
        return process

    def _guest_here(self, host: HostId, vm: Uuid) -> Process:
        process = self._machines.need_process(host, vm)
        if not process.power.plain or process.job is Job.STAYS:
            raise WorldRefusal(host, vm, f"it is {process.power.value}, with {process.job.value} under way")
        return process

    def _end(self, host: HostId, vm: Uuid, process: Process, why: Why) -> None:
        """The process ends, and its libvirt says so."""
        if why is Why.CRASHED and process.why is Why.POSTCOPY and process.power is Power.OUTGOING:
            self._machines.say(host, vm, "suspended", "postcopy-failed")
        self._machines.end(host, vm, why)
        detail = Why.FAILED if why is Why.CRASHED else why
        self._machines.say(host, vm, "stopped", detail.value)
        self._tell_migrations(process)

    def _finish(self, host: HostId, vm: Uuid, process: Process, why: Why) -> None:
        """The process ends without a word."""
        self._machines.end(host, vm, why)
        self._tell_migrations(process)

    def _tell_migrations(self, process: Process) -> None:
        for migration in self.migrations:
            if migration.is_source(process.number):
                migration.source_lost()
            elif migration.is_destination(process.number):
                migration.destination_lost()
