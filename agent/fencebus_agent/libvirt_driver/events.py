"""Converts libvirt's events into what a roster must know and what subscribers are told (facts: libvirt 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass

import libvirt

from fencebus_agent.roster import Turn


@dataclass(frozen=True, slots=True)
class Meaning:
    """An event, read."""

    kind: str
    turn: Turn
    detail: str = ""


_KINDS = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}

# STARTED/MIGRATED is not the arrival: it came 14 s before the switch-over on a slow wire; RESUMED is.
_TELLING = {
    (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED): Turn.ARRIVING,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED): Turn.LEAVING,
}
_TURNS = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: Turn.STARTED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: Turn.RESUMED,
}


def read_lifecycle(event: int, detail: int) -> Meaning:
    """The meaning of a lifecycle event."""
    turn = _TELLING.get((event, detail)) or _TURNS.get(event, Turn.CHANGED)
    return Meaning(_KINDS.get(event, "changed"), turn, "migration" if turn in (Turn.ARRIVING, Turn.LEAVING) else "")


def read_job_completed(operation: int) -> Meaning:
    """The meaning of a finished job; it is reported on a migration's source, and only on success."""
    leaving = operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
    return Meaning("job-completed", Turn.LEAVING if leaving else Turn.CHANGED, "migration" if leaving else "")
