"""What can happen in a schedule, as values: requests, what administrators and guests do, and faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What happens.  The text is filled from a ``Happening``'s fields."""

    # requests
    ASK = "{who} asks {host} to {action} {vm}{by_name}, with {span:.0f} s of patience"
    ASK_AGAIN = "request {number} comes again, at {host}"
    GIVE_UP = "the requester of request {number} closes its connection"
    # what guests and administrators do
    START = "an administrator starts {vm} on {host}"
    SHUT = "the guest {vm} on {host} shuts itself down"
    DESTROY = "an administrator destroys {vm} on {host}"
    PAUSE = "an administrator pauses {vm} on {host} for {span:.1f} s"
    SAVE = "an administrator saves {vm} on {host}, in {span:.1f} s"
    RESTORE = "an administrator restores {vm} on {host} from its image"
    CLONE = "an administrator starts a second {vm} on {host}"
    MIGRATE = "{vm} migrates from {host} to {other}, a phase each {span:.2f} s{end}"
    # faults
    DAEMON_CRASH = "the daemon of {host} is killed, and comes back after {span:.1f} s"
    HOST_CRASH = "{host} loses its power, and comes back after {span:.1f} s{autostart}"
    WIPE = "the daemon of {host} is killed and its state folder removed; it comes back after {span:.1f} s"
    WIPE_ALL = "all daemons are killed and all state folders removed; they come back after {span:.1f} s"
    FREEZE = "the daemon of {host} is stopped by SIGSTOP for {span:.1f} s"
    PARTITION = "the network parts {mask} from the others for {span:.1f} s"
    ONE_WAY = "nothing gets from {host} to {other} for {span:.1f} s"
    LOSS = "{rate:.0%} of all messages are lost for {span:.1f} s"
    LATE = "{rate:.0%} of all messages are late, by up to 20 s, for {span:.1f} s"
    DOUBLE = "{rate:.0%} of all messages come twice for {span:.1f} s"
    REORDER = "messages overtake each other by up to {rate:.1f} s for {span:.1f} s"
    JOIN = "{host} joins, with an empty state folder"
    TWIN = "another machine ({host}) joins under the name of {other}"
    SLOW_DRIVER = "the hypervisor of {host} answers within {rate:.1f} s only, for {span:.1f} s"
    LATE_EVENTS = "events of the hypervisor of {host} come up to {rate:.1f} s late, for {span:.1f} s"
    SLOW_DISK = "each write on {host} takes {rate:.1f} s, for {span:.1f} s"
    FULL_DISK = "the disk of {host} is full for {span:.1f} s"
    SLOW_EXIT = "killed processes on {host} live on for up to {rate:.1f} s, for {span:.1f} s"
    KEPT_QUEUE = "the broker keeps what is sent to {host} while its daemon is dead, for {span:.1f} s"
    FENCED = "the host cluster fences {host} ({action}), which comes back after {span:.1f} s{autostart}{end}"
    CONFIRM = "an operator on {host} confirms that {other} is dead"
    FORGET = "an operator on {host} ends the membership of {other}"
    DEAF = "the daemon of {host} loses its libvirt for {span:.1f} s, and hears no event of that time"


REQUESTS = (Kind.ASK, Kind.ASK_AGAIN, Kind.GIVE_UP)
WORLDLY = (
    Kind.START, Kind.SHUT, Kind.DESTROY, Kind.PAUSE, Kind.SAVE, Kind.RESTORE, Kind.CLONE, Kind.MIGRATE,
)  # fmt: skip
FAULTS = tuple(kind for kind in Kind if kind not in (*REQUESTS, *WORLDLY))


@dataclass(frozen=True, slots=True)
class Happening:
    """One of them.  Which fields matter is told by the text of its kind."""

    at: float
    kind: Kind
    host: int = 0
    other: int = 0
    vm: int = 0
    span: float = 0.0
    rate: float = 0.0
    number: int = 0
    """Of a request."""
    action: str = "OFF"
    source: int = -1
    """The VM that asks; -1 for an operator."""
    by_name: bool = False
    request: str = ""
    """The request's id."""
    end: str = ""
    """How a migration ends: ``""`` completes, ``postcopy``, or the phase at which it is cancelled or stays."""
    mask: tuple[int, ...] = ()
