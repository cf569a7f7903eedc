"""Decides whether this host answers a guest's multicast, which several hosts may have heard.  Pure.

``local_guests_only`` of the design's section 5: a host answers for a target that has a process here whoever asks, and
for any other target only if the guest that asks is its own.  The host itself counts as its own guest, so that an
administrator's ``list`` works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from fencebus_host.config.model import LocalGuestsOnly
from fencebus_schemas.model import Uuid

HOST = "host"


class Origin(Enum):
    """Where a request comes from."""

    THIS_HOST = "this host"
    OWN_GUEST = "own guest"
    ELSEWHERE = "elsewhere"
    UNRESOLVED = "unresolved"
    """The kernel does not know the address's MAC yet: connect first."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where an address belongs, and to which VM if it is a guest's."""

    origin: Origin
    vm: Uuid | None = None


@dataclass(frozen=True, slots=True)
class GuestLocator:
    """Finds the guest behind an address: the MAC in the kernel's table, the VM that has this MAC in its definition."""

    own_address: Callable[[str], bool]
    macs_of: Callable[[str], Iterable[str]]
    guests: Callable[[], Sequence[tuple[str, Uuid]]]
    """(MAC in lower case, VM) of all VMs of this host."""

    def locate(self, address: str) -> Located:
        """Where the address belongs now.  A MAC that two VMs have tells nothing about which of them asks."""
        if self.own_address(address):
            return Located(Origin.THIS_HOST)
        macs = set(self.macs_of(address))
        if not macs:
            return Located(Origin.UNRESOLVED)
        vms = {vm for mac, vm in self.guests() if mac in macs}
        if not vms:
            return Located(Origin.ELSEWHERE)
        return Located(Origin.OWN_GUEST, vms.pop() if len(vms) == 1 else None)


def answers(mode: LocalGuestsOnly, origin: Origin, target_lives_here: bool) -> bool:
    """True if this host may answer; an origin that could not be resolved is not its own."""
    if mode is LocalGuestsOnly.NO or origin in (Origin.THIS_HOST, Origin.OWN_GUEST):
        return True
    return mode is LocalGuestsOnly.AUTO and target_lives_here
