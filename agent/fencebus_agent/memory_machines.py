"""Decides what a host in memory holds of its VMs: definitions, processes, saved images, and libvirt's words for them.

Pure and synchronous; the truth beneath ``memory_world`` and ``memory_migration``, which alone change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NewType

from fencebus_agent.death import Job, Power
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.model import HostId, Life, Uuid, VmState

Mark = NewType("Mark", str)
"""A life's mark: the same on every host to which the life goes, and never given twice in a world."""


class Why(Enum):
    """libvirt's reason for a domain's state (facts: libvirt 2 and 3)."""

    BOOTED = "booted"
    RESTORED = "restored"
    MIGRATED = "migrated"
    UNPAUSED = "unpaused"
    POSTCOPY = "postcopy"
    POSTCOPY_FAILED = "postcopy-failed"
    USER = "paused"
    SAVING = "saving"
    MIGRATION = "migration"
    STARTING_UP = "starting-up"
    SHUTDOWN = "shutdown"
    DESTROYED = "destroyed"
    CRASHED = "crashed"
    FAILED = "failed"
    SAVED = "saved"
    UNKNOWN = "unknown"


class Hold(Enum):
    """How a host holds a life that may still write."""

    RUNS = "runs"
    STANDS = "stands still, and can be resumed"
    ARRIVES = "has fully arrived and is about to run"
    IMAGE = "is saved, and can be restored"


class WorldRefusal(FencebusError):
    """What libvirt would answer with an error: nothing was done.  ``why`` is for people."""

    def __init__(self, host: HostId, vm: Uuid | None, why: str) -> None:
        super().__init__(host, vm, why)
        self.host, self.vm, self.why = host, vm, why

    def __str__(self) -> str:
        return f"{self.host}: {self.vm}: {self.why}" if self.vm else f"{self.host}: {self.why}"


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """What one host's libvirt says aloud: its event's name and detail in lower case."""

    host: HostId
    vm: Uuid
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Writer:
    """A place from which a life may still write, now or later.  For an oracle: no host knows this."""

    vm: Uuid
    life: Mark
    host: HostId
    hold: Hold


@dataclass(slots=True)
class Process:
    """A QEMU process, as it stands."""

    number: int
    """Never given twice in a world, as if it were a process id with its start time."""
    life: Mark
    since: float
    """When it began on this host, on the world's clock."""
    power: Power
    why: Why
    job: Job = Job.NONE
    hold: Hold | None = None
    """How its life may write from here; ``None`` where this process never will."""
    arrived: bool = False
    """Its life began before it: by a migration, or restored from an image."""

    def stand(self, power: Power, why: Why, hold: Hold | None, job: Job = Job.NONE) -> None:
        """Change its condition."""
        self.power, self.why, self.hold, self.job = power, why, hold, job


@dataclass(slots=True)
class Domain:
    """A VM on one host: its definition, and what there is of it."""

    persistent: bool
    process: Process | None = None
    image: Mark | None = None
    """The life in the managed-save image."""
    why: Why = Why.UNKNOWN
    """Why it is off."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a driver on a host can learn of a VM at one instant from libvirt's words and the process table."""

    power: Power
    why: Why | None = None
    """``None`` where libvirt does not know the VM."""
    job: Job = Job.NONE
    life: Life | None = None
    """Its process' life, or the saved one, by its mark; ``began_at`` is when it began *here*, the latest moment at
    which the life can have begun.
    """
    arrived: bool = False
    """The life began before ``life.began_at``: it was migrated here or restored."""
    process: int | None = None
    """Which process, as if by process id and start time."""
    image: Mark | None = None
    """The life in a managed-save image, also while another life runs."""
    persistent: bool = False

    @property
    def state(self) -> VmState:
        """The word that the rest of fencebus uses: GONE and LEFT are UNKNOWN, never OFF."""
        return self.power.state

    @property
    def in_flight(self) -> bool:
        """S14, as far as one look tells: everything but a plain, an off or a saved domain without a migration job."""
        return self.power.migrates or self.job in (Job.MIGRATION, Job.UNSEEN)


ABSENT = Glance(Power.GONE)

Listener = Callable[[WorldEvent], None]


@dataclass(slots=True)
class Machines:
    """All hosts.  Elementary changes only: whether one makes sense is decided above."""

    up: dict[HostId, bool] = field(default_factory=dict)
    domains: dict[tuple[HostId, Uuid], Domain] = field(default_factory=dict)
    events: list[WorldEvent] = field(default_factory=list)
    listeners: dict[HostId, list[Listener]] = field(default_factory=dict)
    processes: int = 0

    def need_up(self, host: HostId, vm: Uuid | None = None) -> None:
        """Raises WorldRefusal if the host is down or does not exist."""
        if not self.up.get(host, False):
            raise WorldRefusal(host, vm, "the host is down" if host in self.up else "there is no such host")

    def need_domain(self, host: HostId, vm: Uuid) -> Domain:
        """The domain; raises WorldRefusal if the host is down or does not know it."""
        self.need_up(host, vm)
        domain = self.domains.get((host, vm))
        if domain is None:
            raise WorldRefusal(host, vm, "no such domain")
        return domain

    def need_process(self, host: HostId, vm: Uuid) -> Process:
        """The process; raises WorldRefusal if there is none."""
        process = self.need_domain(host, vm).process
        if process is None:
            raise WorldRefusal(host, vm, "the domain is not running")
        return process

    def process_of(self, host: HostId, vm: Uuid, number: int | None = None) -> Process | None:
        """The process of that VM there, if it has one, and if it is the one with that number."""
        domain = self.domains.get((host, vm))
        process = domain.process if domain else None
        return process if process is not None and number in (None, process.number) else None

    def spawn(self, host: HostId, vm: Uuid, process: Process) -> Process:
        """Put a process there, numbered anew; the domain is made transient if it was not defined."""
        self.processes += 1
        process = replace(process, number=self.processes)
        self.domains.setdefault((host, vm), Domain(persistent=False)).process = process
        return process

    def end(self, host: HostId, vm: Uuid, why: Why) -> None:
        """The process is gone; a transient domain is forgotten, a persistent one says why it is off."""
        domain = self.domains[host, vm]
        domain.process, domain.why = None, why
        self.settle(host, vm)

    def settle(self, host: HostId, vm: Uuid) -> None:
        """Forget a domain of which nothing is left."""
        domain = self.domains.get((host, vm))
        if domain and not domain.persistent and domain.process is None and domain.image is None:
            del self.domains[host, vm]

    def say(self, host: HostId, vm: Uuid, kind: str, detail: str = "") -> None:
        """libvirt of a host that is up tells its listeners; without any, the list is theirs."""
        if not self.up.get(host, False):
            return
        event = WorldEvent(host, vm, kind, detail)
        listeners = tuple(self.listeners.get(host, ()))
        if not listeners:
            self.events.append(event)
        for listener in listeners:
            listener(event)

    def glance(self, host: HostId, vm: Uuid) -> Glance:
        """One look.  Raises WorldRefusal if the host is down."""
        self.need_up(host, vm)
        domain = self.domains.get((host, vm))
        if domain is None:
            return ABSENT
        process = domain.process
        if process is None:
            saved = Life(domain.image) if domain.image else None
            power, arrived = _power_at_rest(domain), saved is not None
            image, persistent = domain.image, domain.persistent
            return Glance(power, domain.why, life=saved, arrived=arrived, image=image, persistent=persistent)
        life = Life(process.life, process.since)
        return Glance(
            process.power,
            process.why,
            process.job,
            life,
            process.arrived,
            process.number,
            domain.image,
            domain.persistent,
        )

    def writers(self) -> Iterator[Writer]:
        """Every place from which a life may still write; the images of a host that is down are among them."""
        for (host, vm), domain in self.domains.items():
            process = domain.process
            if process is not None and process.hold is not None:
                yield Writer(vm, process.life, host, process.hold)
            if domain.image is not None:
                yield Writer(vm, domain.image, host, Hold.IMAGE)


def _power_at_rest(domain: Domain) -> Power:
    if domain.image is not None:
        return Power.SAVED
    return Power.LEFT if domain.why is Why.MIGRATED else Power.OFF
