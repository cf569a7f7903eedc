"""Converts what happens on a host to the values of QMF events and records, as the schema XML describes them.

Pure.  Times are nanoseconds since 1970, given by the caller: a request knows only its own host's clock since boot.
"""

from __future__ import annotations

from fencebus_agent.hypervisor import DomainEvent
from fencebus_schemas.amqp010 import Value
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, Uuid
from fencebus_schemas.qmf2_data import Severity


def node_values(host: HostId, uri: str) -> dict[str, Value]:
    """Of the Node of a host."""
    return {"hostname": str(host), "uri": uri}


def lifecycle_values(event: DomainEvent, name: str, host: HostId) -> dict[str, Value]:
    """Of a domainLifecycle event."""
    return {
        "uuid": str(event.vm),
        "name": name,
        "event": event.kind,
        "detail": event.detail,
        "host": str(host),
    }


def requested_values(request: FenceRequest, host: HostId) -> dict[str, Value]:
    """Of a fenceRequested event."""
    return {**_asked(request), "source": request.source.text, "host": str(host)}


def completed_values(request: FenceRequest, outcome: FenceOutcome, host: HostId) -> dict[str, Value]:
    """Of a fenceCompleted event."""
    return {**_asked(request), **_came(outcome), "host": str(host)}


def completed_severity(outcome: FenceOutcome) -> Severity:
    """A fence that succeeds is a warning: a machine was killed.  One that fails is an error."""
    return Severity.WARNING if outcome.ok else Severity.ERROR


def ownership_values(vm: Uuid, name: str, old: HostId | None, new: HostId | None) -> dict[str, Value]:
    """Of an ownershipChanged event; ``None``: nobody."""
    return {"uuid": str(vm), "name": name, "oldHost": old or "", "newHost": new or ""}


def record_values(request: FenceRequest, outcome: FenceOutcome, began: int, ended: int) -> dict[str, Value]:
    """Of a FenceRecord."""
    times: dict[str, Value] = {"startTime": began, "endTime": ended}
    return {**_asked(request), "source": request.source.text, "via": request.via, **times, **_came(outcome)}


def _asked(request: FenceRequest) -> dict[str, Value]:
    return {"requestId": str(request.id), "target": request.target, "action": request.action.name.lower()}


def _came(outcome: FenceOutcome) -> dict[str, Value]:
    return {"ok": outcome.ok, "reason": outcome.reason.value, "text": outcome.text}
