"""Converts libvirt's events into what a roster must know and what subscribers are told (facts: libvirt 2 and 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import libvirt

from fencebus_agent.libvirt_driver.marking import LIFE_NAMESPACE
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
    (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_RESTORED): Turn.RESTORED,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED): Turn.LEAVING,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN): Turn.ENDED,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED): Turn.ENDED,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED): Turn.ENDED,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED): Turn.ENDED,
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


Hear = Callable[[libvirt.virDomain, Meaning], None]


def register(conn: libvirt.virConnect, hear: Hear) -> Sequence[int]:
    """Have ``hear`` called, in libvirt's thread, with every event that means something; returns the registrations."""

    def lifecycle(_conn: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
        hear(domain, read_lifecycle(event, detail))

    def reboot(_conn: object, domain: libvirt.virDomain, _opaque: object) -> None:
        hear(domain, Meaning("rebooted", Turn.CHANGED))

    def device(_conn: object, domain: libvirt.virDomain, _alias: str, _opaque: object) -> None:
        hear(domain, Meaning("devices", Turn.CHANGED))

    def metadata(_conn: object, domain: libvirt.virDomain, _kind: int, namespace: str | None, _opaque: object) -> None:
        if namespace != LIFE_NAMESPACE:  # a mark changes nothing but what the driver itself knows
            hear(domain, Meaning("metadata", Turn.CHANGED))

    def job(_conn: object, domain: libvirt.virDomain, stats: dict[str, int], _opaque: object) -> None:
        hear(domain, read_job_completed(stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION, 0)))

    registrations = [
        conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None),
        conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot, None),
    ]
    optional: tuple[tuple[int, Callable[..., None]], ...] = (  # not every driver has them
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, device),
        (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, device),
        (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata),
        (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, job),
    )
    for event, sink in optional:
        with contextlib.suppress(libvirt.libvirtError):
            registrations.append(conn.domainEventRegisterAny(None, event, sink, None))
    return registrations
