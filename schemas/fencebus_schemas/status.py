"""The words in which a daemon's state is told to people and to programs: one data model for every format.

Values only; ``status_plain`` turns them into JSON and back, ``status_schema`` into JSON Schemas, ``status_xml``,
``status_tables`` and ``status_html`` into the other formats.  Fields may be added with a default; ``VERSION`` is raised
only when one goes or changes its meaning.

``at``, ``since``, ``until`` and ``started`` are seconds of the Unix clock of the host that tells them: for people.
What is decided rests on none of them.
"""

# No postponed annotations: Python 3.9 could not evaluate `X | None`, and ``status_plain`` evaluates them.
from dataclasses import dataclass
from enum import Enum
from typing import Optional

VERSION = 1


class Health(Enum):
    """How much an administrator is needed."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


class HostState(Enum):
    """What is known of a host now."""

    HERE = "here"
    """The host that tells."""
    HEARD = "heard"
    SILENT = "silent"
    """It has missed its heartbeats.  A silent host is not a dead host (S13)."""
    UNHEARD = "unheard"
    """A member that has said nothing since the daemon started."""
    CONFLICT = "conflict"
    """Two machines go by this name: neither's denials count."""


class EventKind(Enum):
    """What has happened."""

    FENCE_ACCEPTED = "fence-accepted"
    FENCE_FINISHED = "fence-finished"
    VM_APPEARED = "vm-appeared"
    VM_CHANGED = "vm-changed"
    VM_GONE = "vm-gone"
    HOST_JOINED = "host-joined"
    HOST_CHANGED = "host-changed"
    HOST_LEFT = "host-left"
    PART_CHANGED = "part-changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    EVENTS_LOST = "events-lost"
    """Whoever follows was too slow, and has missed some."""


@dataclass(frozen=True)
class Problem:
    """Something that an administrator should know."""

    code: str
    """Stable: a row of the operators' page."""
    health: Health
    text: str


@dataclass(frozen=True)
class HostStatus:
    """A host, as the one that tells sees it."""

    name: str
    state: HostState
    vms: int = 0
    """How many it was last known to have, whatever their state."""
    claims: int = 0
    """How many of them have a life there."""
    heard_ago: Optional[float] = None
    """Seconds since its last sign of life."""
    incarnation: str = ""
    """Differs between two starts of its daemon; empty where it is not known."""
    proof: str = ""
    """Who says that it is dead, if somebody does."""


@dataclass(frozen=True)
class Claim:
    """What one host says of a VM."""

    host: str
    state: str
    hypervisor: str = ""
    generation: int = 0
    silent: bool = False
    """The host has been silent since: it may have changed."""


@dataclass(frozen=True)
class VmStatus:
    """A VM and who has it."""

    uuid: str
    name: str
    state: str
    """running, paused, incoming, saved, off, unknown."""
    owner: Optional[str] = None
    """The one host that has its life; none if nobody has, or several say so."""
    claims: tuple[Claim, ...] = ()
    """What every host says that knows it."""
    cluster: Optional[str] = None
    since: Optional[float] = None
    """When the daemon that tells first saw this state; none if it was so when it started."""
    troubles: tuple[str, ...] = ()
    """Stable words: conflict, silent-owner, incoming, unknown."""


@dataclass(frozen=True)
class RunningFence:
    """A power action that has not been answered yet."""

    id: str
    at: float
    action: str
    target: str
    source: str
    via: str
    seconds: float = 0.0
    """Since its receipt."""
    by: str = ""
    """Who is behind the source, if that is known: a VM's name, or a process on the host."""


@dataclass(frozen=True)
class SeenStatus:
    """One observation."""

    vm: str
    state: str
    was: str
    proof: str
    host: str = ""
    hypervisor: str = ""
    in_flight: bool = False
    life: Optional[str] = None
    """The mark of the life that ended."""
    detail: str = ""


@dataclass(frozen=True)
class FinishedFence:
    """A power action and what came of it."""

    id: str
    at: float
    """When it was answered."""
    action: str
    target: str
    source: str
    via: str
    ok: bool
    reason: str
    text: str
    seconds: float
    """From receipt to answer."""
    observations: tuple[SeenStatus, ...] = ()
    by: str = ""
    """As in ``RunningFence``."""


@dataclass(frozen=True)
class PartStatus:
    """A listener, the router, the control socket; ``trouble`` is none while it works."""

    name: str
    trouble: Optional[str] = None
    heard_ago: Optional[float] = None
    """Of a listener: seconds since it passed on a request of anybody, whatever it was; none if it has not yet."""


@dataclass(frozen=True)
class RouterStatus:
    """A router among hosts that know each other, as the one that tells sees it."""

    name: str
    """As the configuration calls it."""
    members: int = 0
    """The host that tells is one of them."""
    heard: int = 0
    """How many of them speak, the host that tells included."""
    synced: bool = False
    """Whether it is known of each of them which VMs it has."""
    quorate: Optional[bool] = None
    """Whether this part of the cluster has the majority; none where nobody counts."""
    epoch: Optional[int] = None
    """The number of this run of the daemon, as QMF consoles see it; none where they see nothing."""
    bus: str = ""
    """What joins the hosts, without a password: a broker, or those that are tried in turn; the hosts; corosync."""
    connected: bool = False
    """Whether it can be reached now."""


@dataclass(frozen=True)
class EventStatus:
    """Something that has happened; which of the last five are filled hangs on its kind."""

    number: int
    """Grows by one with each event of one run of the daemon."""
    at: float
    kind: EventKind
    text: str
    host: str = ""
    vm: str = ""
    name: str = ""
    request: str = ""
    part: str = ""


@dataclass(frozen=True)
class PauseStatus:
    """Power actions are refused, because somebody wants it so."""

    since: float
    why: str = ""
    until: Optional[float] = None
    by: str = ""
    dry_run: bool = False
    """The daemon carries out nothing for as long as it runs: nobody can end this pause."""


@dataclass(frozen=True)
class StateCount:
    """How many VMs are in one state."""

    state: str
    vms: int


@dataclass(frozen=True)
class Status:
    """All that a daemon tells of itself and of what it knows."""

    version: int
    host: str
    pid: int
    program: str
    """The version of fencebus."""
    file: Optional[str]
    """Its configuration, if it has one."""
    router: str
    started: float
    at: float
    health: Health
    problems: tuple[Problem, ...] = ()
    pause: Optional[PauseStatus] = None
    hosts: tuple[HostStatus, ...] = ()
    vms: tuple[VmStatus, ...] = ()
    vms_known: int = 0
    """How many there are; ``vms`` may hold only those that were asked for."""
    states: tuple[StateCount, ...] = ()
    """All that there are, by state."""
    parts: tuple[PartStatus, ...] = ()
    running: tuple[RunningFence, ...] = ()
    finished: tuple[FinishedFence, ...] = ()
    """The last few, newest first."""
    incarnation: str = ""
    routers: tuple[RouterStatus, ...] = ()
    """Those among hosts that know each other."""


@dataclass(frozen=True)
class RuleStatus:
    """What one rule of the verdict says of the evidence."""

    rule: str
    says: str
    """The rule in one sentence."""
    objects: bool
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why a power action came out as it did."""

    version: int
    fence: FinishedFence
    decided_by: str
    """The rule that objected first; empty if none did."""
    rules: tuple[RuleStatus, ...] = ()
    missing: tuple[str, ...] = ()
    """What a success would have needed, in sentences."""
    claims: tuple[Claim, ...] = ()
    """Who was known to have it before anything was done."""
    agrees: bool = True
    """Whether the rules say of the evidence today what was answered then."""
    note: str = ""
    """Why there is less here than there should be, if so."""


@dataclass(frozen=True)
class HistoryStatus:
    """Finished power actions, newest first."""

    version: int
    host: str
    fences: tuple[FinishedFence, ...] = ()
    running: tuple[RunningFence, ...] = ()


@dataclass(frozen=True)
class HostList:
    """The hosts that fence together, and by what they know each other."""

    version: int
    host: str
    """The one that tells."""
    hosts: tuple[HostStatus, ...] = ()
    routers: tuple[RouterStatus, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a rehearsal."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Rehearsal:
    """What a power action would meet; nothing was done."""

    version: int
    action: str
    target: str
    ok: bool
    steps: tuple[Step, ...] = ()
