"""Carries out what an administrator of this host orders: a fence, its rehearsal, a pause, its end.

An order goes the way of every request: names become UUIDs, the ledger puts it in its place, the verdict decides.  Only
the groups do not apply: root of this host, who may do anything to its VMs, asks (``Source`` ``host``).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from fencebus_host import control_rehearsal
from fencebus_host.control import Declined, Question
from fencebus_host.control_events import Events
from fencebus_host.control_pause import Pause
from fencebus_host.control_view import MUTE, View
from fencebus_host.ports import Asking, HostWord, Router
from fencebus_host.service import FenceService, Look
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, RequestId, Source
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


class Acts:
    """The orders of one daemon's administrator."""

    def __init__(
        self,
        service: FenceService,
        router: Router,
        pause: Pause,
        events: Events,
        view: Callable[[], View],
        federation: Asking | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``federation`` asks the other hosts, where there are some."""
        self._federation = federation
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
        """Go all the way of a fence up to where something would be done; every host is asked what it sees now."""
        guest = question.text("from", "")
        source = await self._guest(guest) if guest else HOST
        request = _request(question, source, REHEARSAL_SECONDS)
        look = await self._service.look(request)
        words = await self._words(request, look)
        steps = [*self._gate(), *control_rehearsal.steps(request, look, words, self._mute())]
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
        if self._pause.is_dry_run:
            raise Declined("dry-run", "the daemon runs with --dry-run: start it without")
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

    def _mute(self) -> set[str]:
        return {name for name, host in self._view().hosts.items() if host.state in MUTE}

    async def _words(self, request: FenceRequest, look: Look) -> Sequence[HostWord]:
        """What each host says now; nothing where there is no VM to ask about, or nobody else to be asked."""
        uuids = {record.uuid for record in look.found.records}
        if self._federation is None or look.found.inquiry is None or len(uuids) != 1:
            return ()
        return await self._federation.ask(request, uuids.pop(), request.deadline)


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
