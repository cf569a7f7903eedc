"""Decides how a live migration in memory goes: phase by phase, and what becomes of each side when something ends in
between (facts: libvirt 2.1 to 2.3).

Pure and synchronous.  Nothing goes on by itself: each ``step`` is one phase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Domain, Hold, Machines, Process, Why, WorldRefusal
from fencebus_schemas.model import HostId, Uuid


class Phase(Enum):
    """How far a migration is."""

    BEGUN = "begun: the source runs and shows a job; nothing at the destination"
    PREPARED = "prepared: a process waits at the destination"
    COPYING = "copying: the destination has said that it started, and it did not"
    SOURCE_PAUSED = "switching over: both paused, the memory on its way"
    TRANSFERRED = "switching over: both paused, the memory there; whichever survives goes on"
    SWITCHED_OVER = "switched over: the destination runs, the source's process is still there"
    CONFIRMED = "confirmed: the source is gone"
    POSTCOPY = "in post-copy: the destination runs, memory is fetched from the source"
    POSTCOPY_FAILED = "post-copy failed: half of the memory is lost"
    FAILING = "failing: the source is gone, and the destination has yet to notice"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """True if nothing of it is under way any more."""
        return self in (Phase.CONFIRMED, Phase.POSTCOPY_FAILED, Phase.FAILED, Phase.CANCELLED)

    @property
    def undecided(self) -> bool:
        """True as long as it can be cancelled: the destination has never run."""
        return self in (Phase.BEGUN, Phase.PREPARED, Phase.COPYING, Phase.SOURCE_PAUSED, Phase.TRANSFERRED)


@dataclass(frozen=True, slots=True)
class Route:
    """What migrates, from where to where, and with which flags."""

    vm: Uuid
    source: HostId
    destination: HostId
    persist: bool = True
    """VIR_MIGRATE_PERSIST_DEST: it becomes persistent there."""
    undefine: bool = True
    """VIR_MIGRATE_UNDEFINE_SOURCE: the source forgets it, without an event."""


class Migration:
    """One migration under way.  ``memory_world.World`` makes them, and tells them of ended processes."""

    def __init__(self, machines: Machines, route: Route) -> None:
        self._machines, self.route = machines, route
        source = machines.need_process(route.source, route.vm)
        if not source.power.plain or source.job is not Job.NONE:
            raise WorldRefusal(route.source, route.vm, f"it is {source.power.value}, with {source.job.value} under way")
        if route.source == route.destination:
            raise WorldRefusal(route.source, route.vm, "a migration to itself")
        machines.need_up(route.destination, route.vm)
        if machines.process_of(route.destination, route.vm) is not None:
            raise WorldRefusal(route.destination, route.vm, "it is active there already")
        self.phase = Phase.BEGUN
        self._source, self._life = source.number, source.life
        self._destination: int | None = None
        self._was_paused = False
        source.job = Job.MIGRATION

    # ---- what a test, a simulation or an administrator does

    def step(self, at: float) -> Phase:
        """Go on by one phase; ``at`` is the time on the world's clock.  Returns the phase reached."""
        onward: dict[Phase, Callable[[float], None]] = {
            Phase.BEGUN: self._prepare,
            Phase.PREPARED: self._copy,
            Phase.COPYING: self._pause_source,
            Phase.SOURCE_PAUSED: self._transfer,
            Phase.TRANSFERRED: self._switch_over,
            Phase.SWITCHED_OVER: self._confirm,
            Phase.POSTCOPY: self._complete_postcopy,
            Phase.FAILING: self._fail,
        }
        if self.phase in onward:
            onward[self.phase](at)
        return self.phase

    def cancel(self) -> None:
        """abortJob on the source, or its libvirt restarted: the VM stays there.  Raises WorldRefusal once the
        destination has run ("cannot abort migration in post-copy mode"), and if the source is gone already.
        """
        if not self.phase.undecided or self.source is None:
            raise WorldRefusal(self.route.source, self.route.vm, f"too late to cancel: {self.phase.value}")
        self._stay()
        self._end_destination(Why.FAILED)
        self.phase = Phase.CANCELLED

    def start_postcopy(self) -> None:
        """migrateStartPostCopy: the destination runs from now on.  Raises WorldRefusal but while it copies."""
        source, destination = self.source, self.destination
        if self.phase is not Phase.COPYING or source is None or destination is None or source.power is Power.PAUSED:
            raise WorldRefusal(self.route.source, self.route.vm, f"no post-copy now: {self.phase.value}")
        source.stand(Power.OUTGOING, Why.POSTCOPY, None, Job.MIGRATION)
        self._say_source("suspended", Why.MIGRATED)
        self._say_source("suspended", Why.POSTCOPY)
        self._persist()
        destination.stand(Power.UNSETTLED, Why.POSTCOPY, Hold.RUNS)
        self._say_destination("resumed", Why.POSTCOPY)
        self.phase = Phase.POSTCOPY

    # ---- the two sides

    @property
    def source(self) -> Process | None:
        """The source's process, if it still lives."""
        return self._machines.process_of(self.route.source, self.route.vm, self._source)

    @property
    def destination(self) -> Process | None:
        """The destination's process, if it has begun and still lives."""
        if self._destination is None:
            return None
        return self._machines.process_of(self.route.destination, self.route.vm, self._destination)

    def is_source(self, process: int) -> bool:
        """True if that is the number of the source's process."""
        return process == self._source

    def is_destination(self, process: int) -> bool:
        """True if that is the number of the destination's process."""
        return process == self._destination

    # ---- the phases

    def _prepare(self, at: float) -> None:
        if not self._is_free():
            self._stay()
            self.phase = Phase.FAILED
            return
        self._await_at_destination(at)
        self.phase = Phase.PREPARED

    def _is_free(self) -> bool:
        there = self.route.destination
        return self._machines.up[there] and self._machines.process_of(there, self.route.vm) is None

    def _await_at_destination(self, at: float) -> None:
        waiting = Process(0, self._life, at, Power.INCOMING, Why.STARTING_UP, Job.UNSEEN, arrived=True)
        self._destination = self._machines.spawn(self.route.destination, self.route.vm, waiting).number

    def _copy(self, _at: float) -> None:
        if self.destination is not None:
            self.destination.why = Why.MIGRATION
        self._say_destination("started", Why.MIGRATED)  # it did not: it waits (facts: libvirt 2.1)
        self.phase = Phase.COPYING

    def _pause_source(self, _at: float) -> None:
        source = self.source
        if source is not None and source.power is Power.PAUSED:
            self._was_paused = True  # nothing changes, and nothing is said
        elif source is not None:
            source.stand(Power.OUTGOING, Why.MIGRATION, Hold.STANDS, Job.MIGRATION)
            self._say_source("suspended", Why.MIGRATED)
        self.phase = Phase.SOURCE_PAUSED

    def _transfer(self, _at: float) -> None:
        if self.destination is not None:
            self.destination.hold = Hold.ARRIVES
        self.phase = Phase.TRANSFERRED

    def _switch_over(self, at: float) -> None:
        self._persist()
        self._run_at_destination()
        self.phase = Phase.SWITCHED_OVER
        if self.source is None:
            self._say_source("stopped", Why.MIGRATED)
            self._confirm(at)
        elif self._was_paused:
            self.source.hold = None
        else:
            # It is never resumed from now on.  The job can be over while the process stands (facts: libvirt 4.3).
            self.source.stand(Power.OUTGOING, Why.MIGRATION, None)

    def _confirm(self, _at: float) -> None:
        if self.source is not None:
            self._machines.end(self.route.source, self.route.vm, Why.MIGRATED)
            self._say_source("stopped", Why.MIGRATED)
            self._machines.say(self.route.source, self.route.vm, "job-completed", "migration")
            self._undefine_source()
        self.phase = Phase.CONFIRMED

    def _complete_postcopy(self, _at: float) -> None:
        self._run_at_destination()
        if self.source is not None:
            self.source.stand(Power.OUTGOING, Why.POSTCOPY, None)
        self.phase = Phase.SWITCHED_OVER

    def _fail(self, at: float) -> None:
        """The destination notices late: what was asked of it before still happens there (facts: libvirt 2.2)."""
        if self._destination is None:
            self._prepare_late(at)
        elif self.destination is not None and self.destination.why is Why.STARTING_UP:
            self.destination.why = Why.MIGRATION
            self._say_destination("started", Why.MIGRATED)
        else:
            self._end_destination(Why.FAILED)
            self.phase = Phase.FAILED

    def _prepare_late(self, at: float) -> None:
        if self._is_free():
            self._await_at_destination(at)
        else:
            self.phase = Phase.FAILED

    # ---- what ends in between

    def source_lost(self) -> None:
        """The source's process has just ended, by whatever."""
        if self.phase in (Phase.BEGUN, Phase.PREPARED, Phase.COPYING, Phase.SOURCE_PAUSED):
            self.phase = Phase.FAILING
        elif self.phase is Phase.SWITCHED_OVER:
            # The second event is all that tells the destroyed source from a dead VM (facts: libvirt 2.2).
            self._say_source("stopped", Why.MIGRATED)
            self.phase = Phase.CONFIRMED
        elif self.phase is Phase.POSTCOPY:
            self._fail_postcopy()
        elif self.phase is Phase.TRANSFERRED and self.destination is None:
            self.phase = Phase.FAILED

    def destination_lost(self) -> None:
        """The destination's process has just ended, by whatever."""
        if self.phase.undecided:
            self._stay()
            self.phase = Phase.FAILED
        elif self.phase is Phase.FAILING:
            self.phase = Phase.FAILED
        elif self.phase is Phase.POSTCOPY:
            if self.source is not None:
                self.source.stand(Power.OUTGOING, Why.POSTCOPY_FAILED, None)
                self._say_source("suspended", Why.POSTCOPY_FAILED)
            self.phase = Phase.POSTCOPY_FAILED

    def _fail_postcopy(self) -> None:
        """Its processors stop at the first page that is missing; until then it writes: for an oracle it may."""
        destination = self.destination
        if destination is not None:
            destination.stand(Power.UNSETTLED, Why.POSTCOPY_FAILED, Hold.RUNS)
            self._say_destination("resumed", Why.POSTCOPY_FAILED)
        self.phase = Phase.POSTCOPY_FAILED

    # ---- pieces

    def _stay(self) -> None:
        """The VM goes on at the source."""
        source = self.source
        if source is None:
            return
        source.job = Job.NONE
        if source.power is Power.OUTGOING:
            source.stand(Power.RUNNING, Why.UNPAUSED, Hold.RUNS)
            self._say_source("resumed", Why.UNPAUSED)

    def _run_at_destination(self) -> None:
        destination = self.destination
        if destination is None:
            return
        if self._was_paused:
            destination.stand(Power.PAUSED, Why.MIGRATED, Hold.STANDS)
            self._say_destination("suspended", Why.USER)
        else:
            destination.stand(Power.RUNNING, Why.MIGRATED, Hold.RUNS)
            self._say_destination("resumed", Why.MIGRATED)

    def _end_destination(self, why: Why) -> None:
        if self.destination is not None:
            self._machines.end(self.route.destination, self.route.vm, why)
            self._say_destination("stopped", why)

    def _persist(self) -> None:
        domain = self._machines.domains.get((self.route.destination, self.route.vm))
        if domain is not None and self.route.persist and not domain.persistent:
            domain.persistent = True
            self._say_destination("defined", None)

    def _undefine_source(self) -> None:
        domain: Domain | None = self._machines.domains.get((self.route.source, self.route.vm))
        if domain is not None and self.route.undefine and domain.image is None:
            domain.persistent = False
            self._machines.settle(self.route.source, self.route.vm)

    def _say_source(self, kind: str, why: Why) -> None:
        self._machines.say(self.route.source, self.route.vm, kind, why.value)

    def _say_destination(self, kind: str, why: Why | None) -> None:
        self._machines.say(self.route.destination, self.route.vm, kind, why.value if why else "added")
