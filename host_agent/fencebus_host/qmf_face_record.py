"""Decides what QMF consoles are told of the requests on this host: events, records, counters, a VM's last fence.

Times are nanoseconds since 1970, of the host's own wall clock: for people, and compared by nobody.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from fencebus_agent.qmf_domains import LastFence
from fencebus_agent.qmf_reports import completed_severity, completed_values, record_values, requested_values
from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, Uuid, as_uuid
from fencebus_schemas.qmf2_classes import FENCE_COMPLETED, FENCE_CONTROL, FENCE_RECORD, FENCE_REQUESTED
from fencebus_schemas.qmf2_data import Severity
from fencebus_schemas.qmf2_schema import ClassSchema

MOST_RECORDS = 50
"""The last ones are shown: whoever looks for agents is told all of them, three times."""
MOST_FENCED = 1000
"""VMs whose last fence is remembered."""


class Teller(Protocol):
    """The agent: see ``QmfAgent``."""

    def put(self, described: ClassSchema, key: str, values: Map) -> None:
        """One object is there, as it is now."""

    def remove(self, described: ClassSchema, key: str) -> None:
        """One object is not there any more."""

    def tell(self, described: ClassSchema, values: Map, severity: Severity | None = None) -> None:
        """Something happened."""


class Chronicle:
    """What was asked of this host since its daemon started, and what came of it."""

    def __init__(
        self,
        agent: Teller,
        host: HostId,
        version: str,
        router: str,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._agent, self._host, self._wall_clock = agent, host, wall_clock
        self._control: dict[str, Value] = {"hostname": str(host), "version": version, "router": router}
        self._total = self._failed = 0
        self._records: deque[Map] = deque()
        self._last: dict[Uuid, LastFence] = {}
        self._show_control()

    def asked(self, request: FenceRequest) -> None:
        """A power action was asked for."""
        self._agent.tell(FENCE_REQUESTED, requested_values(request, self._host))

    def ended(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> frozenset[Uuid]:
        """It has its verdict, ``seconds`` after its receipt.  The VMs whose last fence it is."""
        now = self._wall_clock()
        began = now - int(seconds * 1e9)
        self._agent.tell(FENCE_COMPLETED, completed_values(request, outcome, self._host), completed_severity(outcome))
        self._keep(record_values(request, outcome, began, now))
        self._total += 1
        if not outcome.ok:
            self._failed += 1
            self._control["lastError"] = f"{outcome.reason.value}: {outcome.text}"
        self._show_control()
        last = LastFence(now, request.action.name.lower(), outcome.reason.value, request.source.text, str(request.id))
        vms = _targets(request, outcome)
        for vm in vms:
            self._last.pop(vm, None)
            self._last[vm] = last
        for vm in list(self._last)[: max(0, len(self._last) - MOST_FENCED)]:
            del self._last[vm]
        return vms

    def fence_of(self, vm: Uuid) -> LastFence | None:
        """The last one that was asked for here."""
        return self._last.get(vm)

    def history(self, target: str, most: int) -> Sequence[Map]:
        """See ``qmf_face_calls.Past``."""
        wanted = target.lower()
        found = [one for one in reversed(self._records) if wanted in ("", str(one["target"]).lower())]
        return found[:most]

    def _keep(self, record: Map) -> None:
        self._records.append(record)
        self._agent.put(FENCE_RECORD, str(record["requestId"]), record)
        if len(self._records) > MOST_RECORDS:
            self._agent.remove(FENCE_RECORD, str(self._records.popleft()["requestId"]))

    def _show_control(self) -> None:
        counters: dict[str, Value] = {"requestsTotal": self._total, "requestsFailed": self._failed}
        self._agent.put(FENCE_CONTROL, str(self._host), {**self._control, **counters})


def _targets(request: FenceRequest, outcome: FenceOutcome) -> frozenset[Uuid]:
    named = as_uuid(request.target)
    return frozenset(seen.vm for seen in outcome.observations) | ({named} if named else frozenset())
