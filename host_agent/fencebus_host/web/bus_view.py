"""Converts what a QMF console knows to what a page shows.  Pure.

A console forgets an agent that has been silent; a page must not, because a silent host is not a dead host (S13).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fencebus_agent.qmf_picture import KnownAgent, Picture
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, FENCE_RECORD
from fencebus_schemas.qmf2_data import Data, SchemaId
from fencebus_schemas.status import FinishedFence, HostState, HostStatus

NANO = 1_000_000_000
MOST_FENCES = 20
DOMAINS, RECORDS = (SchemaId(one.id.package, one.id.class_name) for one in (DOMAIN, FENCE_RECORD))
OLD_STATES = {"running": VmState.RUNNING, "paused": VmState.PAUSED, "shutoff": VmState.OFF}
"""What an agent says that is none of ours."""


@dataclass(frozen=True, slots=True)
class LastSeen:
    """A host as it was when it was heard last."""

    host: HostStatus
    heard_at: float
    vms: tuple[VmRecord, ...] = ()


class BusMemory:
    """All hosts that were heard since the console began."""

    def __init__(self) -> None:
        self._seen: dict[str, LastSeen] = {}

    def look(self, picture: Picture, now: float) -> tuple[tuple[VmRecord, ...], tuple[HostStatus, ...]]:
        """VMs as each host says, and the hosts; ``now`` is of the console's clock."""
        there = {str(agent.name): agent for agent in picture.agents()}
        for name, agent in there.items():
            before = self._seen.get(name)
            vms = _vms(agent, picture) if agent.synced or before is None else before.vms
            self._seen[name] = LastSeen(_heard(agent), agent.heard_at, vms)
        records = tuple(record for seen in self._seen.values() for record in seen.vms)
        return records, tuple(_now(seen, name in there, now) for name, seen in sorted(self._seen.items()))


def finished(picture: Picture) -> tuple[FinishedFence, ...]:
    """The last fences of all hosts, newest first."""
    found = [_fence(one) for one in picture.objects(RECORDS)]
    return tuple(sorted(found, key=lambda fence: -fence.at))[:MOST_FENCES]


def _heard(agent: KnownAgent) -> HostStatus:
    return HostStatus(agent.name.instance, HostState.HEARD, incarnation=str(agent.attributes.epoch))


def _now(seen: LastSeen, is_there: bool, now: float) -> HostStatus:
    state = HostState.HEARD if is_there else HostState.SILENT
    return replace(seen.host, state=state, heard_ago=now - seen.heard_at)


def _vms(agent: KnownAgent, picture: Picture) -> tuple[VmRecord, ...]:
    name = str(agent.name)
    return tuple(_vm(agent, one) for one in picture.objects(DOMAINS) if one.id.agent == name)


def _vm(agent: KnownAgent, one: Data) -> VmRecord:
    incarnation = Incarnation("", "", str(agent.attributes.epoch))
    uuid, name = Uuid(_text(one, "uuid")), _text(one, "name")
    return VmRecord(uuid, name, _state(one), HostId(agent.name.instance), incarnation)


def _state(one: Data) -> VmState:
    word = _text(one, "detailedState")
    if any(word == state.value for state in VmState):
        return VmState(word)
    return OLD_STATES.get(_text(one, "state"), VmState.UNKNOWN)


def _fence(one: Data) -> FinishedFence:
    begun, ended = _seconds(one, "startTime"), _seconds(one, "endTime")
    words = (_text(one, name) for name in ("requestId", "action", "target", "source", "via", "reason", "text"))
    request, action, target, source, via, reason, text = words
    ok = one.values.get("ok") is True
    return FinishedFence(request, ended, action, target, source, via, ok, reason, text, max(0.0, ended - begun))


def _text(one: Data, name: str) -> str:
    return str(one.values.get(name) or "")


def _seconds(one: Data, name: str) -> float:
    found = one.values.get(name)
    return float(found) / NANO if isinstance(found, int | float) else 0.0
