"""The words of the domain as values: requests, observations, outcomes.

Everything here is immutable and compares by value.  What makes an outcome successful is decided in the host's
``verdict`` module alone; a router, a driver or a listener only carries these values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NewType

from fencebus_schemas.deadline import Deadline

Uuid = NewType("Uuid", str)
"""A virtual machine's UUID in canonical form: 36 characters, lower case."""

HostId = NewType("HostId", str)
RequestId = NewType("RequestId", str)

_CANONICAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def as_uuid(text: str) -> Uuid | None:
    """The UUID that ``text`` spells in its canonical layout, in lower case; ``None`` if it is a name.

    The C daemon tells names from UUIDs by the same syntax (fence-virt ``is_uuid``), so a VM whose *name* looks like a
    UUID can be fenced by its real UUID only.
    """
    return Uuid(text.lower()) if _CANONICAL.fullmatch(text) else None


class Action(Enum):
    """What a guest may ask for.  The values are the request codes of the C protocol (facts: fence-virt 1.4)."""

    NULL = 0
    OFF = 1
    REBOOT = 2
    ON = 3
    STATUS = 4
    MONITOR = 5
    LIST = 6

    @property
    def kills(self) -> bool:
        """True for the actions that end a life of the target."""
        return self in (Action.OFF, Action.REBOOT)

    @property
    def changes(self) -> bool:
        """True for the actions that change the target's power: those that the ledger serialises."""
        return self in (Action.OFF, Action.REBOOT, Action.ON)

    @property
    def has_target(self) -> bool:
        """True for the actions that name one VM."""
        return self not in (Action.MONITOR, Action.LIST)


class VmState(Enum):
    """What a host says of a VM.  Everything but OFF and UNKNOWN is a claim: the VM's life is here."""

    RUNNING = "running"
    PAUSED = "paused"
    INCOMING = "incoming"
    """A process that waits for a migration: a claim whose death says nothing about the source (S14)."""
    SAVED = "saved"
    OFF = "off"
    UNKNOWN = "unknown"

    @property
    def is_claim(self) -> bool:
        """True if the VM has a life on the host that says so; a saved life is a life."""
        return self not in (VmState.OFF, VmState.UNKNOWN)


class Proof(Enum):
    """What makes an observation of death believable."""

    NONE = "none"
    PROCESS_EXIT = "process exit"
    """The kernel saw the domain's process end, and nothing of it can still write."""
    HYPERVISOR_WORD = "hypervisor's word"
    """There is no process to watch here; the hypervisor says that the domain is off."""
    HOST_FENCED = "host fenced"


@dataclass(frozen=True)
class Incarnation:
    """One start of a host's daemon; compared for equality, never ordered."""

    boot_id: str
    machine_id: str
    nonce: str


@dataclass(frozen=True)
class Life:
    """One run of a VM's memory, as far as one host can tell lives apart."""

    mark: str
    """Differs between two lives on this host: process id and start time, or the hypervisor's own domain id."""

    began_at: float | None = None
    """CLOCK_BOOTTIME seconds of this host, rounded up; ``None`` where nobody saw it begin."""


@dataclass(frozen=True)
class VmRecord:
    """A VM as one host knows it."""

    uuid: Uuid
    name: str
    state: VmState
    host: HostId
    incarnation: Incarnation
    generation: int = 0
    cluster: str | None = None
    hypervisor: str = ""
    """Which of the host's hypervisors has it: a URI; empty where the host has but one."""
    life: str = ""
    """The mark of the life that is there, if there is one and it has a mark that migrates with it."""


@dataclass(frozen=True)
class Source:
    """Who asks.  ``text`` is what policy and logs see: an address, a VM's UUID, a vsock CID in decimal, or ``host``."""

    text: str
    vm: Uuid | None = None
    """The guest behind it, where that is known."""
    vm_name: str = ""
    known: bool = False
    """True where the hypervisor vouches for ``vm`` (a line, vsock); false where only an address speaks for it."""


@dataclass(frozen=True)
class FenceRequest:
    """One request as it stands after the door: decoded, authenticated, not yet judged."""

    id: RequestId
    action: Action
    target: str
    """A UUID or a name as the guest sent it; empty where the action has none."""
    source: Source
    via: str
    """The listener's name, instance included: ``tcp``, ``multicast:br1``."""
    deadline: Deadline
    received_at: float
    """CLOCK_BOOTTIME seconds of the host on which it arrived."""
    seqno: int = 0
    random: bytes = b""
    by: str = ""
    """For people: who is behind the source, as far as the host knows on which it arrived; no rule reads it."""

    @property
    def identity(self) -> tuple[str, int, bytes, str, Action]:
        """What makes two arrivals the same request (S7)."""
        return (self.source.text, self.seqno, self.random, self.target.lower(), self.action)


@dataclass(frozen=True)
class Observation:
    """A fact that a host saw, or caused, at a known time."""

    vm: Uuid
    state: VmState
    """The VM's state on that host when the observation was complete."""
    host: HostId
    incarnation: Incarnation
    proof: Proof
    seen_at: float
    """CLOCK_BOOTTIME seconds of ``host``; never compared with another host's."""
    migration_in_flight: bool = False
    """True for everything but a plainly running, paused or off domain without a job (S14)."""
    was: VmState = VmState.UNKNOWN
    """The state that the look directly before the act saw."""
    ended: Life | None = None
    """The life that the act ended, if it ended one."""
    detail: str = ""
    """For people: what was seen, in particular why a proof is missing."""
    hypervisor: str = ""
    """Which of the host's hypervisors saw it: a URI; empty where the host has but one."""


@dataclass(frozen=True)
class Sight:
    """What a host saw of one VM in one look, and what it remembers of it: the word by which it claims or denies it."""

    vm: Uuid
    state: VmState
    """OFF: no life of it is here.  UNKNOWN: the host cannot say."""
    known: bool = True
    """The host has a definition or a memory of it; false where it has never heard of such a VM."""
    in_flight: bool = False
    """As in ``Observation``."""
    life: Life | None = None
    """The life that is here."""
    ended: tuple[str, ...] = ()
    """Marks of lives whose end this host saw and proved."""
    left: tuple[str, ...] = ()
    """Marks of lives that this host saw migrate away; ``LEFT_UNMARKED`` where it does not know which."""
    detail: str = ""

    @property
    def denies(self) -> bool:
        """True if the host says for certain that no life of the VM is here (S2); a saved life is a life."""
        return self.state is VmState.OFF and not self.in_flight


LEFT_UNMARKED = "?"
"""A life that left without a mark by which it could be recognised: nobody can say that it was seen to end."""


class Reason(Enum):
    """Why an outcome is what it is.  The values are stable: they stand in logs, history and metrics."""

    PROVEN_OFF = "proven-off"
    ALREADY_OFF = "already-off"
    REBOOTED = "rebooted"
    REBOOTED_NOT_STARTED = "rebooted-not-started"
    STARTED = "started"
    ALREADY_ON = "already-on"
    STATUS_ON = "status-on"
    STATUS_OFF = "status-off"
    LISTED = "listed"
    ALIVE = "alive"
    DENIED = "denied"
    UNKNOWN_VM = "unknown-vm"
    AMBIGUOUS_NAME = "ambiguous-name"
    NOT_PROVEN = "not-proven"
    STILL_CLAIMED = "still-claimed"
    IN_FLIGHT = "in-flight"
    STALE_OBSERVATION = "stale-observation"
    NOT_STARTED = "not-started"
    DEADLINE = "deadline"
    REQUESTER_GONE = "requester-gone"
    SOURCE_FENCED = "source-fenced"
    YOUNGER_LIFE = "younger-life"
    HYPERVISOR_ERROR = "hypervisor-error"
    NOT_RECORDED = "not-recorded"
    START_CANCELLED = "start-cancelled"
    UNSUPPORTED = "unsupported"
    PAUSED = "paused"
    STALE_COMMAND = "stale-command"
    HOST_SILENT = "host-silent"
    CONFLICT = "conflict"
    NOT_SYNCED = "not-synced"
    NO_QUORUM = "no-quorum"
    INTERNAL = "internal"


@dataclass(frozen=True)
class FenceOutcome:
    """The answer to a request.  ``ok=True`` is built in the host's ``verdict`` module alone."""

    request: RequestId
    ok: bool
    reason: Reason
    observations: tuple[Observation, ...] = ()
    text: str = ""
