"""Decides what a page has to be told that has seen one state of the daemon and is to show another.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fencebus_schemas.status import EventStatus, Status, VmStatus


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known at one moment."""

    status: Status | None = None
    """As last told; none before the first answer."""
    trouble: str = ""
    """Why it may be old; empty while the daemon answers."""
    events: tuple[EventStatus, ...] = ()
    """The last ones, oldest first."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What is new."""

    status: Status
    """All but the VMs."""
    vms: tuple[VmStatus, ...]
    """Those that are new or changed; all of them in a whole one."""
    gone: tuple[str, ...]
    """The UUIDs of those that are not there any more."""
    events: tuple[EventStatus, ...]
    """Oldest first."""
    whole: bool
    """What the page showed before counts no more."""
    trouble: str = ""


def patch(before: Scene, now: Scene) -> Patch | None:
    """What turns a page that shows ``before`` into one that shows ``now``; none while nothing is known."""
    if now.status is None:
        return None
    told, is_whole = before.status, before.status is None or _is_another_run(before.status, now.status)
    vms = {} if told is None or is_whole else {vm.uuid: vm for vm in told.vms}
    uuids = {vm.uuid for vm in now.status.vms}
    seen = 0 if is_whole or _last(now) < _last(before) else _last(before)
    return Patch(
        status=replace(now.status, vms=()),
        vms=tuple(vm for vm in now.status.vms if vms.get(vm.uuid) != vm),
        gone=tuple(uuid for uuid in vms if uuid not in uuids),
        events=tuple(event for event in now.events if event.number > seen),
        whole=is_whole,
        trouble=now.trouble,
    )


def _last(scene: Scene) -> int:
    """The number of its last event."""
    return scene.events[-1].number if scene.events else 0


def _is_another_run(before: Status, now: Status) -> bool:
    """A daemon that was started anew counts its events from one again."""
    return (before.pid, before.started) != (now.pid, now.started)
