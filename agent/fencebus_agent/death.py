"""Decides whether a VM's life here has ended: from looks, the process' exit and libvirt's words (design 6, points 1
to 5).

Pure.  All times are CLOCK_BOOTTIME seconds of this host.  Nothing in here is a fence's success; it is what an
observation may say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.model import HostId, Incarnation, Life, Observation, Proof, Uuid, VmState

HANDOVER = 0.1
"""Seconds in which no migration can begin and hand over: it has to start a QEMU at the destination first (design
6.3).
"""


class Power(Enum):
    """A domain's condition, as finely as death needs it."""

    RUNNING = "running"
    PAUSED = "paused"
    OUTGOING = "paused to migrate away"
    INCOMING = "waiting for a migration to arrive"
    UNSETTLED = "in post-copy, or in a state that may hide a migration"
    ENDING = "ending by itself"
    OFF = "off"
    SAVED = "off, saved"
    LEFT = "ended by migrating away"
    GONE = "not known to the hypervisor"

    @property
    def plain(self) -> bool:
        """True where the domain runs or stands still, and nothing else."""
        return self in (Power.RUNNING, Power.PAUSED)

    @property
    def over(self) -> bool:
        """True where the hypervisor says that no life is left here."""
        return self in (Power.OFF, Power.SAVED, Power.GONE)

    @property
    def migrates(self) -> bool:
        """True where the state itself speaks of a migration."""
        return self in (Power.OUTGOING, Power.INCOMING, Power.UNSETTLED, Power.LEFT)

    @property
    def state(self) -> VmState:
        """The word that the rest of fencebus uses."""
        return _STATES[self]


_STATES = {
    Power.RUNNING: VmState.RUNNING,
    Power.PAUSED: VmState.PAUSED,
    Power.OUTGOING: VmState.PAUSED,
    Power.INCOMING: VmState.INCOMING,
    Power.UNSETTLED: VmState.RUNNING,
    Power.ENDING: VmState.RUNNING,
    Power.OFF: VmState.OFF,
    Power.SAVED: VmState.SAVED,
    Power.LEFT: VmState.UNKNOWN,
    Power.GONE: VmState.UNKNOWN,
}


class Job(Enum):
    """What the hypervisor is doing with a domain."""

    NONE = "none"
    STAYS = "a job that keeps the domain here (save, dump, snapshot, backup)"
    MIGRATION = "a migration"
    UNSEEN = "a job that could not be read, as during an incoming migration"


class Kill(Enum):
    """What the hypervisor answered to the kill."""

    DONE = "done"
    NOT_RUNNING = "not running any more"
    GONE = "not known any more"
    FAILED = "failed"
    LOST = "the connection broke: done or not, nobody knows"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in one glance directly before a kill; ``at`` is the moment *before* the first question was
    asked.
    """

    at: float
    power: Power
    job: Job = Job.NONE
    life: Life | None = None
    """What the kill, or the removal of a saved image, is to end; ``None`` if there was nothing to end."""
    watched: bool = True
    """A local process stands behind the domain, and its exit is the proof."""
    saved_image: bool = False
    """A saved image of it exists, and could not be set aside."""
    left_before: bool = False
    """This host's own record says that the domain migrated away, or was about to, and it was not seen to come back."""

    @property
    def in_flight(self) -> bool:
        """S14: everything but a plain state without a migration job.  The death of such a process says nothing about
        the VM.
        """
        return self.power.migrates or self.job in (Job.MIGRATION, Job.UNSEEN) or self.left_before

    @property
    def quick(self) -> bool:
        """True if an end right after this look needs no other witness."""
        return self.power.plain and self.job is Job.NONE and not self.saved_image and not self.in_flight

    def too_soon_to_migrate(self, at: float) -> bool:
        """True if no migration can have handed the VM over between this look and ``at``."""
        return self.quick and at - self.at <= HANDOVER


@dataclass(frozen=True, slots=True)
class End:
    """What the hypervisor said after the kill, and what it had to say about migration since the look."""

    kill: Kill
    power: Power
    saved_image: bool = False
    spoke_of_migration: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Lingering:
    """Something of the VM that can still write after the exit (design 6.4)."""

    why: str
    """The sentence about it."""
    ends_visibly: bool = False
    """Its end can be seen, so waiting for it makes sense."""


class Decision(Enum):
    """What follows from the evidence so far."""

    OFF = "off"
    WAIT = "wait"
    UNPROVABLE = "cannot be proven"
    LOOK_AGAIN = "look again"
    IN_FLIGHT = "in flight"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class Finding:
    """A decision and the sentence that goes with it."""

    decision: Decision
    proof: Proof = Proof.NONE
    why: str = ""


def judge(look: Look, exited_at: float | None, end: End | None, lingering: Lingering | None = None) -> Finding:
    """Say what a kill has come to.

    look: directly before it.  exited_at: when the kernel said that all watched processes are gone; ``None`` as long
    as it has not.  end: the hypervisor's answer; ``None`` as long as it has not come.  lingering: what can still write.
    """
    if look.watched and exited_at is None:
        return _judge_living(end)
    if look.in_flight:
        return Finding(Decision.IN_FLIGHT, why=_migrating(look))
    if lingering is not None:
        return _judge_lingering(lingering)
    if exited_at is not None and look.too_soon_to_migrate(exited_at):
        return Finding(Decision.OFF, Proof.PROCESS_EXIT)
    if end is None:
        return Finding(Decision.WAIT, why="the hypervisor has not said what became of it")
    return _judge_end(look, end)


def judge_unseen(end: End | None, hidden: bool) -> Finding:
    """Say what the kill of a running domain has come to whose process was not found.

    hidden: another process namespace, a hidden /proc: no exit can be seen, and finding no process afterwards means
    nothing.  Else it has just ended by itself, and the hypervisor had not noticed: to be looked at again.
    """
    if end is None:
        return Finding(Decision.WAIT, why="its process cannot be seen from here")
    if not hidden:
        return Finding(Decision.LOOK_AGAIN, why="its process had ended before the kill")
    if end.kill is not Kill.DONE:
        return Finding(Decision.LOOK_AGAIN, why=f"the kill: {end.error or end.kill.value}")
    return Finding(Decision.UNPROVABLE, why="its process cannot be seen from here, so its end cannot be proven")


def _judge_living(end: End | None) -> Finding:
    if end is None:
        return Finding(Decision.WAIT, why="its process is alive")
    if end.kill is Kill.DONE:
        # facts: libvirt 4.5.  The hypervisor has done what it can, and says "off" of a process that the kernel still
        # has.
        return Finding(Decision.WAIT, why=f"its process is alive, though the hypervisor says: {end.power.value}")
    return Finding(Decision.LOOK_AGAIN, why=f"its process is alive; the kill: {end.error or end.kill.value}")


def _judge_lingering(lingering: Lingering) -> Finding:
    return Finding(Decision.WAIT if lingering.ends_visibly else Decision.UNPROVABLE, why=lingering.why)


def _judge_end(look: Look, end: End) -> Finding:
    if end.spoke_of_migration or end.power.migrates:
        return Finding(Decision.IN_FLIGHT, why="a migration was spoken of while it was being killed")
    if end.kill is not Kill.DONE:
        return Finding(Decision.LOOK_AGAIN, why=f"the kill: {end.error or end.kill.value}")
    if end.saved_image or end.power is Power.SAVED:
        return Finding(Decision.SAVED, why="it was saved before the kill reached it")
    if not end.power.over:
        return Finding(Decision.LOOK_AGAIN, why=f"the hypervisor says: {end.power.value}")
    return Finding(Decision.OFF, Proof.PROCESS_EXIT if look.watched else Proof.HYPERVISOR_WORD)


def judge_rest(look: Look, processes: int, lingering: Lingering | None = None) -> Finding:
    """Say what a domain that the look found at rest has come to.

    processes: how many processes on this host still carry its UUID, where ``look.watched`` says that they can be seen.
    """
    if processes:
        return Finding(Decision.WAIT, why="the hypervisor has given it up, but its process is alive")
    if look.in_flight:
        return Finding(Decision.IN_FLIGHT, why=_migrating(look))
    if lingering is not None:
        return _judge_lingering(lingering)
    if look.saved_image:
        return Finding(Decision.SAVED, why="its saved image could not be removed")
    return Finding(Decision.OFF, Proof.PROCESS_EXIT if look.watched else Proof.HYPERVISOR_WORD)


def _migrating(look: Look) -> str:
    if look.left_before:
        return "it migrated away from here, or was about to"
    if look.power.migrates:
        return f"it was {look.power.value}"
    return f"it had {look.job.value} under way"


@dataclass(frozen=True, slots=True)
class Witness:
    """Who speaks in an observation."""

    host: HostId
    incarnation: Incarnation


def observe(witness: Witness, vm: Uuid, look: Look, finding: Finding, now: float) -> Observation:
    """Put a finding into the words that a verdict is made of."""
    off = finding.decision is Decision.OFF
    return Observation(
        vm,
        _state_after(look, finding),
        witness.host,
        witness.incarnation,
        finding.proof,
        now,
        migration_in_flight=finding.decision is Decision.IN_FLIGHT,
        # What the hypervisor has forgotten, and this host has ended, was off (S5: a VM that was off stays off).
        was=VmState.OFF if off and look.power is Power.GONE else look.power.state,
        ended=look.life if off else None,
        detail=finding.why,
    )


def _state_after(look: Look, finding: Finding) -> VmState:
    if finding.decision is Decision.OFF:
        return VmState.OFF
    if finding.decision is Decision.IN_FLIGHT:
        return VmState.UNKNOWN
    if finding.decision is Decision.SAVED:
        return VmState.SAVED
    # A life that is not proven ended is claimed, whatever the hypervisor says of it (S2).
    return look.power.state if look.power.state.is_claim else VmState.RUNNING
