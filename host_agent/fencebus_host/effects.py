"""What the pure machines of a federation ask of the world: values that a shell carries out, one by one, in order.

An effect that has an answer carries a job number; the answer comes back with it.  A machine never waits: until the
answer comes it goes on with what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from fencebus_host.verdict import Evidence
from fencebus_schemas.model import HostId, Incarnation, Observation, Reason, RequestId, Uuid, VmRecord
from fencebus_schemas.peer import Confirmed, Forgotten, Message

Job = NewType("Job", int)


@dataclass(frozen=True, slots=True)
class Send:
    """Give a message to the carrier.  It may be lost, late, doubled or overtaken by others."""

    message: Message


@dataclass(frozen=True, slots=True)
class Look:
    """Look at a VM here, now; answered by ``looked(job, sight)``, with UNKNOWN where the hypervisor does not say.

    The look is complete when every event of before it has been told (``changed``): a life that came and went between
    two looks must not be missed.
    """

    job: Job
    vm: Uuid


@dataclass(frozen=True, slots=True)
class Kill:
    """End the VM's life here; answered by ``killed``.

    Directly before the act, and in whatever thread acts, ``permit(job, life, now)`` of the machine is asked: what it
    returns, if not ``None``, forbids the act.
    """

    job: Job
    vm: Uuid
    until: float
    """The point on this host's clock by which it must be over."""


@dataclass(frozen=True, slots=True)
class Boot:
    """Start the VM here, afresh; answered by ``booted``.  The permit is asked as for a kill, without a life."""

    job: Job
    vm: Uuid
    until: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a record; answered by ``kept(job, ok)`` once it is on the disk, or cannot be."""

    job: Job
    record: Kept


@dataclass(frozen=True, slots=True)
class Conclude:
    """The course of a request that entered here is over; the verdict draws its outcome from the evidence."""

    request: RequestId
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class AskProof:
    """Ask the witnesses whether a host is dead (S13); answered by ``proof_seen`` with this very question."""

    request: RequestId
    host: HostId
    incarnation: Incarnation | None
    """The one that is silent."""
    round: int
    asked_at: float
    may_act: bool
    """The host is silent past its heartbeats, and was the last known to have the target: it may be switched off."""
    until: float
    """The point on this host's clock by which the answer is wanted."""


Effect = Send | Look | Kill | Boot | Keep | Conclude | AskProof
Effects = list[Effect]


# -- what is kept ----------


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """A host exists, and is a member until an operator says otherwise."""

    host: HostId


@dataclass(frozen=True, slots=True)
class HostPicture:
    """All that a host said it has: takes the place of what was kept of it."""

    host: HostId
    incarnation: Incarnation
    generation: int
    records: tuple[VmRecord, ...]


@dataclass(frozen=True, slots=True)
class VmChanged:
    """One VM of a host, changed; ``gone`` if the host does not know it any more."""

    host: HostId
    generation: int
    record: VmRecord
    gone: bool


@dataclass(frozen=True, slots=True)
class Deed:
    """S4: what was done here for a request, so that it can be attested after a restart and is not done twice (S7)."""

    identity: str
    request: RequestId
    observation: Observation | None
    refusal: Reason | None = None
    text: str = ""
    boot: bool = False
    """It was a start."""


Kept = MemberSeen | Forgotten | Confirmed | HostPicture | VmChanged | Deed
