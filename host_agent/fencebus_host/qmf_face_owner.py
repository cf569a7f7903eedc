"""Decides which host shows a VM to QMF consoles, and when a VM has become another host's.

Pure.  A console takes the first object of a name that it finds (facts: qmf2 0.9), so one host shows a VM, and two do
only while two claim to have it: that is a conflict, and is to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_host.catalogue import is_owners_word
from fencebus_host.effects import HostPicture, Kept, VmChanged
from fencebus_schemas.model import HostId, Uuid, VmRecord, VmState


class Owners(Protocol):
    """Who has which VM, as far as this host knows: see ``ownership.Ownership``."""

    def claimants(self, vm: Uuid) -> Sequence[VmRecord]:
        """The claims of all members as last heard, also of silent ones."""

    def known(self, vm: Uuid) -> Sequence[VmRecord]:
        """All that members say of the VM."""

    def last_owner(self, vm: Uuid) -> HostId | None:
        """The member that was the last to have the VM's life."""

    def unread(self, now: float) -> Sequence[str]:
        """Who may have VMs of which nothing is known here."""

    def everything(self) -> Iterable[VmRecord]:
        """All that is known of every VM."""


def is_shown_here(record: VmRecord, owners: Owners, now: float) -> bool:
    """True if the host whose ``record`` this is shows the VM; ``now`` on this host's CLOCK_BOOTTIME."""
    me = record.host
    elsewhere = any(claim.host != me for claim in owners.claimants(record.uuid))
    if is_owners_word(record.state):
        return True
    if record.state is VmState.INCOMING or elsewhere:
        return not elsewhere
    last = owners.last_owner(record.uuid)
    if last is not None:
        return last == me
    # Nobody saw it live.  While somebody has not said what he has, it may live there, and nobody shows it as off.
    return not owners.unread(now) and me == min((one.host for one in owners.known(record.uuid)), default=me)


@dataclass(frozen=True, slots=True)
class Passage:
    """A VM was one host's, and is another's now."""

    vm: Uuid
    name: str
    old: HostId
    new: HostId


class Passages:
    """Follows the owners through what is written down of them; what they were before is not known any more by then."""

    def __init__(self, owners: Owners) -> None:
        last = ((record.uuid, owners.last_owner(record.uuid)) for record in owners.everything())
        self._last: dict[Uuid, HostId] = {vm: host for vm, host in last if host is not None}

    def take(self, kept: Kept) -> list[Passage]:
        """What changes hands by this record."""
        if isinstance(kept, VmChanged):
            records: tuple[VmRecord, ...] = () if kept.gone else (kept.record,)
        else:
            records = kept.records if isinstance(kept, HostPicture) else ()
        return [passage for record in records if (passage := self._moved(record)) is not None]

    def _moved(self, record: VmRecord) -> Passage | None:
        if not is_owners_word(record.state):
            return None
        old = self._last.get(record.uuid)
        self._last[record.uuid] = record.host
        return Passage(record.uuid, record.name, old, record.host) if old not in (None, record.host) and old else None


def vms_of(kept: Kept) -> Iterable[Uuid]:
    """The VMs of which a record says something."""
    if isinstance(kept, VmChanged):
        return (kept.record.uuid,)
    return (one.uuid for one in kept.records) if isinstance(kept, HostPicture) else ()
