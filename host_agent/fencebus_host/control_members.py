"""Converts what a federation knows of its members to what people read of them.  Pure."""

from __future__ import annotations

from fencebus_host.ownership import Ownership
from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.status import HostState, HostStatus


def members_of(ownership: Ownership, me: HostId, now: float) -> tuple[HostStatus, ...]:
    """The members in order; ``now`` is this host's CLOCK_BOOTTIME."""
    twins = ownership.conflicts(now)
    return tuple(_member(ownership, host, me, twins, now) for host in ownership.member_list)


def _member(ownership: Ownership, host: HostId, me: HostId, twins: frozenset[HostId], now: float) -> HostStatus:
    ago = ownership.heard_ago(host, now)
    _, incarnation = ownership.quote(host)
    state = HostState.CONFLICT if host in twins else _state(ownership, host, me, ago, now)
    word = ownership.confirmations.standing(host)
    said = f"confirmed dead by {word.who} at {word.when}" if word else ""
    return HostStatus(host, state, heard_ago=ago, incarnation=short(incarnation) if incarnation else "", proof=said)


def _state(ownership: Ownership, host: HostId, me: HostId, ago: float | None, now: float) -> HostState:
    if host == me:
        return HostState.HERE
    if ago is None:
        return HostState.UNHEARD
    return HostState.SILENT if ownership.is_silent(host, now) else HostState.HEARD


def short(incarnation: Incarnation) -> str:
    """Enough of it to tell two apart by eye."""
    return f"{incarnation.boot_id[:8]}.{incarnation.nonce[:8]}"
