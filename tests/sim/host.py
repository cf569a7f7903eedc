"""Decides how one simulated machine lives: its clock, its state folder, its daemon's starts and stops, its stops by
SIGSTOP, and what waits at its door meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fencebus_agent.memory_machines import WorldEvent
from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.peer import Message
from tests.sim.daemon import Daemon
from tests.sim.disk import Disk
from tests.sim.driver import Pace
from tests.sim.scheduler import noise

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

FASTEST = 0.0001
"""By so much a machine's clock runs faster or slower than the world's at most."""


class SimHost:
    """A machine.  ``place`` is what the world calls it, ``name`` what the others do: two machines may share that."""

    def __init__(self, sim: Simulation, index: int, place: HostId, name: HostId) -> None:
        self.sim, self.index, self.place, self.name = sim, index, place, name
        self.scheduler = sim.scheduler
        self.disk = Disk()
        self.pace = Pace()
        self.wiped_at = -1.0
        self.in_cluster = True
        """The cluster's own daemons run here."""
        self.fenced_off = False
        """Its cluster has switched it off, and its daemon has not started since."""
        self.write_takes = 0.003
        self.write_done_at = 0.0
        self.daemon: Daemon | None = None
        self.stopped = False
        """By SIGSTOP: nothing of the daemon goes on, but its VMs and its clock do."""
        self._deaf_until = -1.0
        self.keeps_queue = False
        """The broker keeps for a dead daemon what is sent to it, against all rules."""
        self._backlog: list[tuple[Daemon, Callable[[], None]]] = []
        self._kept: list[Message] = []
        self._draws = 0
        self._boots = 0
        self._starts = 0
        self._rate = 1 + FASTEST * (2 * self.chance() - 1)
        self._up_since = -1e5 * self.chance()

    # -- the machine ----------

    def now(self) -> float:
        """CLOCK_BOOTTIME of this machine: it begins anew at each boot and runs at a rate of its own."""
        return (self.scheduler.now - self._up_since) * self._rate

    def clock_of(self, when: float) -> float:
        """What this machine's clock showed at a time of the world."""
        return (when - self._up_since) * self._rate

    def chance(self) -> float:
        """The next random number of this machine."""
        self._draws += 1
        return noise(self.sim.seed, 77, self.index, self._draws)

    def boot(self) -> None:
        """The clock begins anew."""
        self._up_since = self.scheduler.now
        self._boots += 1

    # -- the daemon ----------

    def start_daemon(self) -> None:
        """A new incarnation reads the state folder; nothing happens if one runs."""
        if self.daemon is not None or not self.sim.world.is_up(self.place):
            return
        self._starts += 1
        self.fenced_off = False
        incarnation = Incarnation(f"{self.place}-boot-{self._boots}", self.place, f"{self._starts}")
        self.daemon = Daemon(self.sim, self, incarnation)
        self.daemon.begin()
        waiting, self._kept = self._kept, []
        for message in waiting:
            self.arrive(message)

    def end_daemon(self) -> None:
        """kill -9: what was on its way to the disk may arrive there or not."""
        if self.daemon is None:
            return
        self.daemon.desk.abandon()
        self.daemon = None
        self._deaf_until = -1.0
        self._backlog.clear()
        self.stopped = False
        self.disk.crash(self.chance)

    def wipe(self) -> None:
        """Somebody removes the state folder of a daemon that is dead."""
        self.disk.wipe()
        self.wiped_at = self.scheduler.now

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = self.daemon is not None

    def go_on(self) -> None:
        """SIGCONT: all that waited happens now, in its order."""
        self.stopped = False
        waiting, self._backlog = self._backlog, []
        for daemon, act in waiting:
            self.run_in(daemon, act)

    def run_in(self, daemon: Daemon, act: Callable[[], None]) -> None:
        """Do ``act`` in that incarnation: not at all if it is dead, later if it is stopped."""
        if self.daemon is not daemon:
            return
        if self.stopped:
            self._backlog.append((daemon, act))
        else:
            act()

    # -- its libvirt ----------

    @property
    def deaf(self) -> bool:
        """The daemon has lost its libvirt: nothing is heard, and every question waits."""
        return self.scheduler.now < self._deaf_until

    def lose_libvirt(self, span: float) -> None:
        """The daemon's connections break; new ones are made after ``span``."""
        if self.daemon is None:
            return
        self._deaf_until = max(self._deaf_until, self.scheduler.now + span)
        self.run_in(self.daemon, self.daemon.deafened)
        self.scheduler.at(self._deaf_until, self._find_libvirt)

    def _find_libvirt(self) -> None:
        if self.daemon is not None and not self.deaf:
            self.run_in(self.daemon, self.daemon.hears_again)

    # -- the door ----------

    def arrive(self, message: Message) -> None:
        """The carrier brings a message."""
        if self.daemon is None:
            if self.keeps_queue:
                self._kept.append(message)
            return
        self.run_in(self.daemon, partial(self.daemon.receive, message))

    def hear(self, event: WorldEvent) -> None:
        """libvirt of this machine says something; nobody listens if the daemon is dead, or cannot."""
        if self.daemon is not None and not self.deaf:
            self.daemon.hear(event)
