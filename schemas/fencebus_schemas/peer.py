"""What hosts say to each other: announces, inventories, guards, fences, starts and their answers, as immutable values.

``peer_codec`` turns them into signed bytes.  No time in a message is a point on a clock: only ages and remaining
patience travel, because no rule compares two hosts' clocks (design 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.model import (
    Action,
    HostId,
    Incarnation,
    Observation,
    Reason,
    RequestId,
    Sight,
    Source,
    Uuid,
    VmRecord,
)

EVERYONE = HostId("")
"""The receiver of a broadcast."""


@dataclass(frozen=True)
class Message:
    """Whatever one host tells another."""

    sender: HostId
    incarnation: Incarnation
    """The sender's."""
    to: HostId
    """The receiver, or ``EVERYONE``."""


# -- who is there, and what it has ----------


@dataclass(frozen=True)
class Forgotten:
    """An operator's word that a host is a member no more.  The greatest version of a host's record counts."""

    host: HostId
    version: int
    member: bool = False
    """True in a later record that takes it back in."""


@dataclass(frozen=True)
class Confirmed:
    """An operator's word that a host is dead (S13).  The greatest version of a host's record counts."""

    host: HostId
    version: int
    incarnation: Incarnation
    """The one that died."""
    who: str
    """For people, as is ``when``: no rule reads the time of a wall clock."""
    when: str
    stands: bool = True
    """False in a later record that takes it back, because the host was heard again."""


@dataclass(frozen=True)
class Announce(Message):
    """A heartbeat, each 5 s and at once on connecting."""

    generation: int
    """Grows with each change of the inventory."""
    digest: str
    """Of the inventory; a mismatch makes the listener fetch it anew."""
    members: str
    """Digest of the sender's member list and forget records."""
    token: str
    """Quoted by commands to the sender: they are as old as the token at most (design 5, Fresh)."""


@dataclass(frozen=True)
class Fetch(Message):
    """Ask for the receiver's inventory and member list."""


@dataclass(frozen=True)
class Inventory(Message):
    """All that a host has, and whom it knows."""

    generation: int
    digest: str
    records: tuple[VmRecord, ...]
    members: tuple[HostId, ...]
    forgotten: tuple[Forgotten, ...]
    confirmed: tuple[Confirmed, ...] = ()


@dataclass(frozen=True)
class Change(Message):
    """One VM of the sender has changed; it follows the change of ``generation - 1`` without a gap."""

    generation: int
    digest: str
    record: VmRecord
    gone: bool = False
    """The sender does not know the VM any more; ``record`` is the last that it knew."""


# -- commands ----------


@dataclass(frozen=True)
class Quote:
    """What makes a command fresh by its receiver's own clock (S12)."""

    token: str
    """The receiver's latest that the sender knows; empty if it knows none."""
    incarnation: Incarnation | None
    """The receiver's, as the sender knows it."""
    patience: float
    """Seconds that the request has left."""
    age: float
    """Seconds since the request was received."""


class Purpose(Enum):
    """What a guard is for."""

    FENCE = "fence"
    """Shared: several requests may guard one VM, and each kills what turns up of the old life."""
    START = "start"
    """Exclusive (S15): a member grants it to one request, and to none while any other guard stands."""


@dataclass(frozen=True)
class Guard(Message):
    """Install or renew a guard on the target, look, and say what is there: guard and probe in one (S2, S14)."""

    request: RequestId
    round: int
    purpose: Purpose
    vm: Uuid
    source: Uuid | None
    """The guest that asks, if it is known: a request dies with its source (S16)."""
    members: str
    """Digest of the sender's member list; the answer brings the list where it differs."""
    stamp: float
    """Means nothing to the receiver; comes back with the answer."""
    quote: Quote


@dataclass(frozen=True)
class GuardAnswer(Message):
    """The word of one member in one round."""

    request: RequestId
    round: int
    stamp: float
    """Of the guard that is answered; -1 in a report that nobody asked for."""
    token: str
    """The sender's newest, for the next command."""
    serial: str
    """Of the guard: the same in two answers means that it stood unbroken between them; empty if there is none."""
    sight: Sight | None
    """``None`` if nothing was seen, for ``refusal``."""
    refusal: Reason | None = None
    is_old: bool = False
    """The life in ``sight`` had begun before the request was received, by the sender's clock (S12)."""
    source_here: bool = False
    """The guest that asks lives on the sender, who knows this request from now on (S16)."""
    members: tuple[HostId, ...] = ()
    forgotten: tuple[Forgotten, ...] = ()


@dataclass(frozen=True)
class Fence(Message):
    """End the target's life on the receiver."""

    request: RequestId
    identity: str
    """Digest of what makes two arrivals the same request (S7)."""
    action: Action
    vm: Uuid
    source: Source
    source_cluster: str | None
    """The label of the source's guest cluster, for the owner's own policy (S6)."""
    target: str
    """The name or UUID that the guest used."""
    via: str
    lives: tuple[str, ...]
    """Marks of lives that a member has found to be older than the request: on no other host is their age known."""
    begin: float
    """Seconds in which the kill must begin: so long does the source's host know of this request (S16)."""
    quote: Quote


@dataclass(frozen=True)
class FenceAnswer(Message):
    """What became of it."""

    request: RequestId
    token: str
    observation: Observation | None
    refusal: Reason | None = None
    text: str = ""


@dataclass(frozen=True)
class Start(Message):
    """Boot the target afresh on the receiver, under the start guard that it has granted (S15)."""

    request: RequestId
    identity: str
    vm: Uuid
    serial: str
    """Of the receiver's own guard in the last clean round."""
    source: Source
    source_cluster: str | None
    target: str
    via: str
    quote: Quote


@dataclass(frozen=True)
class StartAnswer(Message):
    """What became of it."""

    request: RequestId
    token: str
    observation: Observation | None
    refusal: Reason | None = None
    text: str = ""


@dataclass(frozen=True)
class Rehearse(Message):
    """Look at the target and say what would be answered to an order.  Nothing is done for it, so that it need not be
    fresh.
    """

    request: RequestId
    vm: Uuid
    source: Source
    source_cluster: str | None
    target: str
    via: str


@dataclass(frozen=True)
class Rehearsed(Message):
    """What the sender sees of it now."""

    request: RequestId
    sight: Sight
    refusal: Reason | None = None
    """Why it would not obey (S6)."""


@dataclass(frozen=True)
class Lift(Message):
    """The verdict has been given: the guards of this request may go."""

    request: RequestId
    vm: Uuid


@dataclass(frozen=True)
class Outcome(Message):
    """What came of a request, so that the same request gets the same answer on whichever host it arrives (S7)."""

    request: RequestId
    identity: str
    ok: bool
    reason: Reason
    text: str
    patience: float
    """Seconds for which it is worth remembering."""


@dataclass(frozen=True)
class Forget(Message):
    """An operator's records about members, spreading."""

    records: tuple[Forgotten, ...]


@dataclass(frozen=True)
class Confirm(Message):
    """An operator's records about dead hosts, spreading."""

    records: tuple[Confirmed, ...]
