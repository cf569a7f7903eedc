"""Carries out what an administrator of this host orders: a fence, its rehearsal, a pause, its end.

An order goes the way of every request: names become UUIDs, the ledger puts it in its place, the verdict decides.  Only
the groups do not apply: root of this host, who may do anything to its VMs, asks (``Source`` ``host``).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from fencebus_host.control import Declined, Question
from fencebus_host.control_events import Events
from fencebus_host.control_pause import Pause
from fencebus_host.control_view import MUTE, View
from fencebus_host.ports import Router
from fencebus_host.service import FenceService, Look
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, RequestId, Source, VmState
from fencebus_schemas.status import (
    VERSION,
    EventKind,
    FinishedFence,
    Rehearsal,
    SeenStatus,
    Step,
)
from fencebus_schemas.status_plain import to_plain

PATIENCE = 25.0
LONGEST_PATIENCE = 300.0
REHEARSAL_SECONDS = 5.0
VIA = "control"
HOST = Source("host", known=True)
"""The administrator of this host."""
ACTIONS = {action.name.lower(): action for action in Action if action.changes}
WILL = {
    Action.OFF: "would be ended and its end proven",
    Action.REBOOT: "would be ended, its end proven, and it would be started again",
    Action.ON: "would be started, if every member denies that it has it",
}


class Acts:
    """The orders of one daemon's administrator."""

    def __init__(
        self,
        service: FenceService,
        router: Router,
        pause: Pause,
        events: Events,
        view: Callable[[], View],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._service, self._router, self._pause, self._events = service, router, pause, events
        self._view, self._wall_clock = view, wall_clock

    async def fence(self, question: Question) -> object:
        """Fence a VM, and answer when that is over."""
        seconds = question.number("patience", PATIENCE) or PATIENCE
        request = _request(question, HOST, min(seconds, LONGEST_PATIENCE))
        answer = await self._service.handle(request, lambda: True)
        outcome = answer.outcome
        return to_plain(
            FinishedFence(
                id=request.id,
                at=self._wall_clock(),
                action=request.action.name.lower(),
                target=request.target,
                source=request.source.text,
                via=request.via,
                ok=outcome.ok,
                reason=outcome.reason.value,
                text=outcome.text,
                seconds=boottime() - request.received_at,
                observations=tuple(
                    SeenStatus(
                        *(seen.vm, seen.state.value, seen.was.value, seen.proof.value, seen.host, seen.hypervisor),
                        *(seen.migration_in_flight, seen.ended.mark if seen.ended else None, seen.detail),
                    )
                    for seen in outcome.observations
                ),
                by=request.by,
            )
        )

    async def rehearse(self, question: Question) -> object:
        """Go all the way of a fence up to where something would be done."""
        guest = question.text("from", "")
        source = await self._guest(guest) if guest else HOST
        request = _request(question, source, REHEARSAL_SECONDS)
        look = await self._service.look(request)
        steps = [*self._gate(), *_found(look), *self._hosts(look), *_plan(request, look)]
        well = all(step.ok for step in steps)
        return to_plain(Rehearsal(VERSION, request.action.name.lower(), request.target, well, tuple(steps)))

    async def pause(self, question: Question) -> object:
        """Refuse from now on."""
        try:
            pause = self._pause.begin(question.text("why", ""), question.number("seconds"), question.by)
        except OSError as error:
            raise Declined("disk", f"the pause cannot be written down: {error}") from None
        self._events.happened(EventKind.PAUSED, f"fencing is paused by {question.by} {pause.why}".rstrip())
        return to_plain(pause)

    async def resume(self, question: Question) -> object:
        """Go on."""
        before = self._pause.end()
        if before is None:
            raise Declined("not-paused", "fencing is not paused")
        self._events.happened(EventKind.RESUMED, f"fencing goes on, says {question.by}")
        return to_plain(before)

    async def _guest(self, name: str) -> Source:
        """A guest, as a serial line would vouch for it.  Raises Declined if there is not exactly one."""
        found = await self._router.find(name, Deadline.after(REHEARSAL_SECONDS))
        uuids = {record.uuid for record in found.records}
        if len(uuids) != 1:
            raise Declined("guest", f"there are {len(uuids)} VMs called {name!r}")
        first = found.records[0]
        return Source(first.uuid, first.uuid, first.name, known=True)

    def _gate(self) -> Sequence[Step]:
        objection = self._pause.objection()
        return [Step("gate", objection is None, objection.text if objection else "power actions are accepted")]

    def _hosts(self, look: Look) -> Sequence[Step]:
        """Who is silent can neither be asked to kill nor deny."""
        owners = {record.host for record in look.found.records if record.state.is_claim}
        mute = sorted(name for name, host in self._view().hosts.items() if host.state in MUTE)
        if not mute:
            return [Step("hosts", True, "no host is silent")]
        text = f"silent: {', '.join(mute)}"
        if owners and not owners & set(mute):
            return [Step("hosts", True, f"{text}; not needed for a plain kill on {', '.join(sorted(owners))}")]
        return [Step("hosts", False, f"{text}; its denial, or a proof that it is dead, would be needed (S2, S13)")]


def _request(question: Question, source: Source, patience: float) -> FenceRequest:
    action = ACTIONS.get(question.text("action", "off"))
    if action is None:
        raise Declined("question", f"action: one of {', '.join(ACTIONS)}")
    now = boottime()
    target = question.text("vm")
    return FenceRequest(
        id=RequestId(secrets.token_hex(16)),
        action=action,
        target=target,
        source=source,
        via=VIA,
        deadline=Deadline(now + patience),
        received_at=now,
        random=secrets.token_bytes(10),
        by=question.by,
    )


def _found(look: Look) -> Sequence[Step]:
    places = ", ".join(
        f"{record.name} is {record.state.value} on {record.host} {record.hypervisor}".rstrip()
        for record in look.found.records
    )
    found = Step("target", look.objection is None, look.objection.text if look.objection else places)
    word = "allowed" if look.permitted else "no group of the configuration allows this source to act on this VM"
    return [found, Step("policy", look.permitted, word)]


def _plan(request: FenceRequest, look: Look) -> Sequence[Step]:
    if look.objection is not None or not look.permitted:
        return []
    alive = [record for record in look.found.records if record.state.is_claim]
    if request.action is not Action.ON and not alive:
        unknown = any(record.state is VmState.UNKNOWN for record in look.found.records)
        text = "nobody can say where it runs" if unknown else "it is off: nothing would be ended"
        return [Step("plan", not unknown, text)]
    where = ", ".join(sorted({record.host for record in alive or look.found.records}))
    return [Step("plan", True, f"it {WILL[request.action]} by {where}")]
