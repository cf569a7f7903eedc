"""Takes a request from a listener to its answer: target, policy, ledger, router, verdict, history.

The order is the safety: a name becomes one UUID first (S8), then policy decides (S6), then the ledger (S7), and only
then does anything act.  Every path ends in an answer by the request's deadline (S9).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.hypervisor import HypervisorError
from fencebus_host import asking, verdict
from fencebus_host.asker import NameOf, asked_by, nameless
from fencebus_host.control_requests import NOBODY, Audience
from fencebus_host.fencing import Fencing, Witness, no_witness
from fencebus_host.log_fields import about
from fencebus_host.objection import Objection
from fencebus_host.policy import Labels, Policy, Spellings, spellings
from fencebus_host.ports import Answer, Router, Wanted
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, Source, Uuid
from fencebus_schemas.peer import Outcome

log = logging.getLogger(__name__)


Recall = Callable[[FenceRequest], Outcome | None]
"""What another host has answered to the very same request (S7)."""
LabelOf = Callable[[Uuid], str | None]
"""The label of a VM's guest cluster, from memory."""


class History(Protocol):
    """Keeps what was asked and what came of it."""

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Take down one finished power action; never blocks, never fails."""


Gate = Callable[[], Objection | None]
"""Why no power action is taken at all for now, if none is."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a power action would find."""

    found: Evidence
    permitted: bool
    """S6"""
    objection: Objection | None
    """Why it would be refused before anything is done, apart from S6."""


Drill = Callable[[FenceRequest, Look], Awaitable[Objection]]
"""What stands in the place of acting in a dry run: always an objection, that tells what would have been done."""


def open_gate() -> None:
    """Everything is taken."""


class FenceService:
    """What a listener calls with each request."""

    def __init__(
        self,
        router: Router,
        policy: Policy,
        fencing: Fencing,
        history: History,
        clock: Clock = boottime,
        label_of: LabelOf = lambda _vm: None,
        recall: Recall = lambda _request: None,
        audience: Audience = NOBODY,
        gate: Gate = open_gate,
        witness: Witness = no_witness,
        drill: Drill | None = None,
    ) -> None:
        """``drill``: in a dry run, where no power action is ever carried out."""
        self._router = router
        self._policy = policy
        self._fencing = fencing
        self._history = history
        self._clock = clock
        self._label_of = label_of
        self._recall = recall
        self._gate, self._witness, self._drill = gate, witness, drill
        self._audiences = [audience]
        self._name_of: NameOf = nameless
        self._heard: dict[str, float] = {}
        self._answer: Mapping[Action, Callable[[FenceRequest, Wanted], Awaitable[Answer]]] = {
            Action.NULL: self._null,
            Action.MONITOR: self._monitor,
            Action.LIST: self._list,
            Action.STATUS: self._status,
            Action.OFF: self._fence,
            Action.REBOOT: self._fence,
            Action.ON: self._fence,
        }

    def reconfigure(self, policy: Policy) -> None:
        """Put new groups in force for requests that arrive from now on."""
        self._policy = policy

    def join(self, audience: Audience) -> None:
        """Tell one more of whatever happens from now on."""
        self._audiences.append(audience)

    def introduce(self, name_of: NameOf) -> None:
        """Tell who asks by this name from now on."""
        self._name_of = name_of

    def heard_ago(self, via: str) -> float | None:
        """Seconds since a request came by this listener; ``None`` if none has."""
        at = self._heard.get(via)
        return None if at is None else self._clock() - at

    async def handle(self, request: FenceRequest, wanted: Wanted) -> Answer:
        """Answer one request; never raises (save when cancelled), never takes longer than the request's deadline."""
        level = logging.INFO if request.action.changes else logging.DEBUG
        self._heard[request.via] = self._clock()
        request = dataclasses.replace(request, by=asked_by(request, self._name_of))
        log.log(level, "%s", _Accepted(request), extra=_fields(request, "accepted"))
        asking.REQUEST.set(request.id)
        if request.action.changes:
            for audience in self._audiences:
                audience.accepted(request)
        answer = await self._answered(request, wanted)
        outcome = answer.outcome
        seconds = self._clock() - request.received_at
        denied = outcome.reason is Reason.DENIED
        fields = _fields(request, "verdict", outcome, seconds)
        log.log(logging.INFO if denied else level, "%s", _Verdict(request, outcome, seconds), extra=fields)
        if request.action.changes:
            # Soon: whoever asked is answered first, as a cluster waits for it.
            asyncio.get_running_loop().call_soon(self._tell, request, outcome, seconds)
        return answer

    def _tell(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """What is told of a power action that is over."""
        self._history.note(request, outcome, seconds)
        for audience in self._audiences:
            audience.answered(request, outcome, seconds)

    async def _answered(self, request: FenceRequest, wanted: Wanted) -> Answer:
        try:
            async with asyncio.timeout(request.deadline.remaining() + 1.0):
                return await self._answer[request.action](request, wanted)
        except TimeoutError:
            return _failed(request, Reason.DEADLINE, "the time for this request was over")
        except HypervisorError as error:
            return _failed(request, Reason.HYPERVISOR_ERROR, str(error))
        except Exception:  # the root of a request: a defect here must become a failure of this request alone
            log.exception("request=%s defect while answering", request.id)
            return _failed(request, Reason.INTERNAL, "a defect in the daemon; its log has the details")

    # -- one method an action ----------

    async def _null(self, request: FenceRequest, _wanted: Wanted) -> Answer:
        """As C: ``null`` has been carried out by no backend, it always fails."""
        return _failed(request, Reason.UNSUPPORTED, "null does nothing, and so proves nothing")

    async def _monitor(self, request: FenceRequest, _wanted: Wanted) -> Answer:
        await self._router.check(request.deadline)
        return Answer(verdict.decide_alive(request))

    async def _list(self, request: FenceRequest, _wanted: Wanted) -> Answer:
        records = await self._router.list(request.deadline)
        asker, label = _names_of(request.source), self._label(request.source)
        visible = [record for record in records if self._policy.visible(request.source, asker, record, label)]
        return Answer(verdict.decide_listed(request), tuple(sorted(visible, key=lambda record: record.name.lower())))

    async def _status(self, request: FenceRequest, _wanted: Wanted) -> Answer:
        found = await self._router.find(request.target, request.deadline)
        if not self._permits(request, found):
            return _denied(request)
        return Answer(verdict.decide_status(request, found))

    async def _fence(self, request: FenceRequest, wanted: Wanted) -> Answer:
        if known := self._fencing.recall(request, wanted):
            return Answer(await asyncio.shield(known))
        if refusal := self._gate():
            return Answer(verdict.failure(request, refusal))
        if self._drill is None and (told := self._recall(request)):
            return Answer(verdict.repeated(request, told))
        found = await self._router.find(request.target, request.deadline)
        if not self._permits(request, found):
            return _denied(request)
        objection = verdict.first_objection(request, found, verdict.DOOR_RULES)
        if objection:
            self._witness(request, found, None, True)
            return Answer(verdict.failure(request, objection, found))
        if self._drill is not None:
            return Answer(verdict.failure(request, await self._drill(request, Look(found, True, None))))
        # Again, as the same request may have arrived twice while its target was looked up.
        outcome = self._fencing.recall(request, wanted) or self._fencing.submit(request, found, wanted)
        return Answer(await asyncio.shield(outcome))

    async def look(self, request: FenceRequest) -> Look:
        """What a power action would find; nothing is done.  Ends by the request's deadline."""
        try:
            found = await self._router.find(request.target, request.deadline)
        except HypervisorError as error:
            return Look(Evidence(()), False, Objection(Reason.HYPERVISOR_ERROR, str(error)))
        objection = verdict.first_objection(request, found, verdict.DOOR_RULES)
        return Look(found, self._permits(request, found), objection)

    def _permits(self, request: FenceRequest, found: Evidence) -> bool:
        """S6; an ambiguous name needs permission for every VM that has it."""
        asker, label = _names_of(request.source), self._label(request.source)
        targets: list[tuple[str | None, str, str]] = [(one.cluster, one.uuid, one.name) for one in found.records]
        return all(
            self._policy.permits(request.source, asker, spellings(request.target, uuid, name), Labels(label, cluster))
            for cluster, uuid, name in targets or [(None, "", "")]
        )

    def _label(self, source: Source) -> str | None:
        return self._label_of(source.vm) if source.vm is not None else None


class _Accepted:
    """The line that a request leaves when it arrives; formatted only if somebody reads it."""

    def __init__(self, request: FenceRequest) -> None:
        self._request = request

    def __str__(self) -> str:
        request = self._request
        target = request.target or "-"
        return (
            f"accepted request={request.id} action={request.action.name.lower()} target={target!r} {_origin(request)}"
        )


class _Verdict:
    """The line that a request leaves when it is answered."""

    def __init__(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        self._request, self._outcome, self._seconds = request, outcome, seconds

    def __str__(self) -> str:
        request, outcome = self._request, self._outcome
        text = f" text={outcome.text!r}" if outcome.text else ""
        return (
            f"verdict request={request.id} action={request.action.name.lower()} target={request.target!r} "
            f"{_origin(request)} ok={'yes' if outcome.ok else 'no'} reason={outcome.reason.value} "
            f"seconds={self._seconds:.3f}{text}"
        )


def _fields(
    request: FenceRequest, event: str, outcome: FenceOutcome | None = None, seconds: float = 0.0
) -> dict[str, object]:
    """What either line says, as fields."""
    told = {
        "request_id": request.id,
        "event": event,
        "action": request.action.name.lower(),
        "target": request.target,
        "source": request.source.text,
        "by": request.by,
        "via": request.via,
        "seqno": request.seqno,
    }
    if outcome is not None:
        told |= {"ok": "yes" if outcome.ok else "no", "reason": outcome.reason.value, "seconds": f"{seconds:.3f}"}
    return about(**told)


def _origin(request: FenceRequest) -> str:
    by = f" by={request.by!r}" if request.by else ""
    return f"source={request.source.text} via={request.via} seqno={request.seqno}{by}"


def _names_of(source: Source) -> Spellings:
    """The names of a source that is known to be a guest, not merely an address."""
    return spellings(source.vm or "", source.vm_name) if source.known else frozenset()


def _denied(request: FenceRequest) -> Answer:
    return _failed(request, Reason.DENIED, "no group of the configuration allows this source to act on this VM")


def _failed(request: FenceRequest, reason: Reason, text: str) -> Answer:
    return Answer(verdict.failure(request, Objection(reason, text)))
