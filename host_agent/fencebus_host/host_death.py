"""Decides whether a proof that a host is dead stands for that host's denial (S13).  Pure.

A silent host is not a dead host.  Each clause here looks at one deposition in the circumstances of its request and
returns what it misses, or ``None``.  All times are seconds on this host's CLOCK_BOOTTIME: what a fencer's clock says
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fencebus_host.objection import Objection
from fencebus_schemas.model import HostId, Incarnation, Reason, VmState


class Witness(Enum):
    """Who can say that a host is dead."""

    PACEMAKER = "pacemaker"
    FENCE_AGENT = "fence agent"
    OPERATOR = "operator"


class Fate(Enum):
    """What a witness says of a host; it never guesses."""

    OFF = "off"
    """It is off now, and was when the witness was asked."""
    FENCED = "fenced"
    """It was switched off or rebooted, once; what it does now is unknown."""
    ALIVE = "alive"
    POWERED = "powered"
    """Its power is on now; whether it does anything is unknown."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """A witness' answer."""

    by: Witness
    fate: Fate
    text: str
    """For people: a clause without a full stop, ``pacemaker switched b off at ...``."""
    not_before: float | None = None
    """For FENCED: it certainly began later than this; ``None`` if nobody knows when."""
    done_after: float | None = None
    """For what was done once: it was certainly not over by then; ``None`` where the witness looked just now."""
    cut_off: bool = False
    """There was no time for a whole answer: the one before tells people more."""


@dataclass(frozen=True, slots=True)
class Deposition:
    """A finding, and what it was asked for."""

    host: HostId
    incarnation: Incarnation | None
    """The one that had gone silent when the witness was asked; ``None`` if none was known."""
    asked_at: float
    """The witness was asked no sooner."""
    finding: Finding


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a host beside its death."""

    known_as: Incarnation | None
    """Its last known incarnation."""
    heard_at: float | None
    """Its last sign of life; ``None`` if there was none since this daemon started."""
    last_state: VmState | None
    """Of the target there, as the host last told; OFF if it told of no such VM, ``None`` if it was never read."""
    requested_at: float
    """When the request was received."""
    stood_at: float | None
    """Since when all other members deny the target under guards that have not broken since; ``None`` if not all do."""


Clause = Callable[[Deposition, Circumstances], Objection | None]

PLAIN = frozenset({VmState.RUNNING, VmState.PAUSED, VmState.OFF, VmState.INCOMING})
"""Last states of a VM that died with its host.  A saved image outlives it, and unknown may be anything."""


def s13_somebody_says_that_it_is_dead(deposition: Deposition, _around: Circumstances) -> Objection | None:
    """S13: only a witness' plain word counts."""
    if deposition.finding.fate in (Fate.OFF, Fate.FENCED):
        return None
    return _lack(deposition, deposition.finding.text)


def s13_of_the_incarnation_that_died(deposition: Deposition, around: Circumstances) -> Objection | None:
    """S13: a proof is bound to the incarnation that died."""
    if around.known_as is not None and deposition.incarnation == around.known_as:
        return None
    return _lack(deposition, f"that proof is not about the {deposition.host} that was last heard")


def s13_nothing_heard_since(deposition: Deposition, around: Circumstances) -> Objection | None:
    """S13: the host's next sign of life ends a proof, and one that is older than the last was none."""
    done_after = deposition.finding.done_after
    proven_at = deposition.asked_at if done_after is None else min(done_after, deposition.asked_at)
    if around.heard_at is None or around.heard_at <= proven_at:
        return None
    return _lack(deposition, f"{deposition.host} has been heard since it was said to be dead")


def s13_asked_since_the_request(deposition: Deposition, around: Circumstances) -> Objection | None:
    """S13: what is off must have been found so after the request; what was fenced once must have been fenced while
    every other member stood on guard: a past reboot proves nothing about now.
    """
    finding = deposition.finding
    if finding.fate is Fate.OFF and deposition.asked_at >= around.requested_at:
        return None
    if finding.fate is Fate.FENCED and _not_before(around.stood_at, finding.not_before):
        return None
    return _lack(deposition, f"{finding.text}, before this request: what it has done since is unknown")


def s13_last_state_there_was_plain(deposition: Deposition, around: Circumstances) -> Objection | None:
    """S13: a host's death proves nothing about a VM whose last state there was saved or unknown."""
    if around.last_state in PLAIN:
        return None
    state = around.last_state.value if around.last_state is not None else "never told"
    return _lack(deposition, f"the VM's last state on {deposition.host} was {state}, which outlives the host")


CLAUSES: tuple[Clause, ...] = (
    s13_somebody_says_that_it_is_dead,
    s13_of_the_incarnation_that_died,
    s13_nothing_heard_since,
    s13_asked_since_the_request,
    s13_last_state_there_was_plain,
)


def missing(deposition: Deposition, around: Circumstances) -> Objection | None:
    """The first thing that keeps a deposition from standing for its host's denial; ``None`` if nothing does."""
    return next((lack for clause in CLAUSES if (lack := clause(deposition, around))), None)


def _not_before(stood_at: float | None, begun_after: float | None) -> bool:
    return stood_at is not None and begun_after is not None and begun_after >= stood_at


def _lack(deposition: Deposition, text: str) -> Objection:
    return Objection(Reason.HOST_SILENT, f"{deposition.host} is not proven dead: {text}")
