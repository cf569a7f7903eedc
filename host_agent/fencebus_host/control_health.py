"""Decides how much an administrator is needed, from what the daemon knows.  Pure; each code is a row of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fencebus_host.control_view import CONFLICT, View
from fencebus_schemas.model import Reason
from fencebus_schemas.status import (
    FinishedFence,
    Health,
    HostState,
    HostStatus,
    PartStatus,
    PauseStatus,
    Problem,
)

NAMED = 5
"""So many VMs of one kind of trouble are named; the others are counted."""
MISTYPED = ("control", Reason.UNKNOWN_VM.value)
"""By what such an order comes, and what comes of it."""


def problems(
    view: View, parts: Sequence[PartStatus], pause: PauseStatus | None, finished: Sequence[FinishedFence]
) -> tuple[Problem, ...]:
    """The worst first."""
    found = [
        *_paused(pause),
        *(_part(part) for part in parts if part.trouble),
        *(problem for host in view.hosts.values() for problem in _host(host)),
        *_unread(view),
        *_conflicts(view),
        *_failed(finished),
    ]
    return tuple(sorted(found, key=lambda problem: problem.health is not Health.ERROR))


def worst(found: Iterable[Problem]) -> Health:
    """In one word."""
    levels = {problem.health for problem in found}
    return next((level for level in (Health.ERROR, Health.WARN) if level in levels), Health.OK)


def _paused(pause: PauseStatus | None) -> Iterable[Problem]:
    if pause is not None and pause.dry_run:
        yield Problem("paused", Health.ERROR, f"DRY RUN: {pause.why}")
    elif pause is not None:
        why = f" ({pause.why})" if pause.why else ""
        yield Problem("paused", Health.ERROR, f"fencing is paused{why}: every power action is refused")


def _part(part: PartStatus) -> Problem:
    return Problem("part-failed", Health.ERROR, f"{part.name}: {part.trouble}")


def _host(host: HostStatus) -> Iterable[Problem]:
    if host.state is HostState.CONFLICT:
        yield Problem("host-conflict", Health.ERROR, f"two machines call themselves {host.name}")
    elif host.state in (HostState.SILENT, HostState.UNHEARD) and not host.proof:
        level = Health.ERROR if host.claims else Health.WARN
        ago = "since this daemon started" if host.heard_ago is None else f"for {host.heard_ago:.0f} s"
        yield Problem("host-silent", level, f"{host.name} has not been heard {ago}; {host.claims} VMs were on it")


def _unread(view: View) -> Iterable[Problem]:
    """S8: as long as a host may have VMs of which nothing is known here, a name may be that of another VM there."""
    twins = {name for name, host in view.hosts.items() if host.state is HostState.CONFLICT}
    if names := [name for name in view.unread if name not in twins]:
        text = f"which VMs {', '.join(names[:NAMED])} may have is not known yet: VMs are found by UUID alone"
        yield Problem("not-synced", Health.WARN, text)


def _conflicts(view: View) -> Iterable[Problem]:
    names = [vm.name for vm in view.vms.values() if CONFLICT in vm.troubles]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield Problem("vm-conflict", Health.ERROR, f"several hosts claim {', '.join(names[:NAMED])}{more}")


def _failed(finished: Sequence[FinishedFence]) -> Iterable[Problem]:
    """The newest word about each target counts; who mistyped a name at this host's prompt was told so there."""
    newest: dict[str, FinishedFence] = {}
    for fence in finished:
        newest.setdefault(fence.target.lower(), fence)
    for fence in newest.values():
        if not fence.ok and (fence.via, fence.reason) != MISTYPED:
            more = f"fence_virtctl explain {fence.id[:12]}"
            text = f"the last {fence.action} of {fence.target} failed: {fence.reason}; {more}"
            yield Problem("fence-failed", Health.WARN, text)
