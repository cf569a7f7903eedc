"""Decides what becomes of a request on the host on which it arrives: what service, ledger and fencing do there, in one
synchronous piece around the real ledger, the real verdict and the real machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from fencebus_host import permission, verdict
from fencebus_host.effects import Conclude, Effects
from fencebus_host.federation.coordinator import Matter
from fencebus_host.ledger import Admission, Ledger, Step
from fencebus_host.objection import Objection
from fencebus_host.permission import Standing
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Uuid, VmRecord, as_uuid
from tests.sim.asked import Asked

if TYPE_CHECKING:
    from tests.sim.daemon import Daemon

GRACE = 0.5
"""Seconds past its deadline after which a request that is still open is broken off (as in ``fencing``)."""


def digest_of(request: FenceRequest) -> str:
    """What makes two arrivals the same request, wherever they arrive (S7)."""
    return hashlib.sha256(repr(request.identity).encode()).hexdigest()[:32]


@dataclass(slots=True, eq=False)
class Case:
    """One power action under way here."""

    asked: Asked
    request: FenceRequest
    vm: Uuid
    identity: str
    found: tuple[VmRecord, ...]
    same: list[Asked] = field(default_factory=list)
    joined: list[Case] = field(default_factory=list)
    ended: Evidence | None = None
    """The first half of a reboot, once it is proven."""


class Desk:
    """All requests of one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._ledger = Ledger(daemon.now)
        self._cases: dict[RequestId, Case] = {}

    def arrive(self, asked: Asked, request: FenceRequest) -> None:
        """A request came through policy and door."""
        admission = self._ledger.recall(request, lambda: asked.wanted)
        if admission is not None:
            self._recalled(asked, admission)
            return
        known = self._daemon.federation.recall(digest_of(request), self._daemon.now())
        if known is not None:
            self._answer(asked, known.ok, known.reason, known.text, repeated=True)
            return
        self._new(asked, request)

    def abandon(self) -> None:
        """The daemon dies, and every connection with it."""
        for case in list(self._cases.values()):
            for asked in (case.asked, *case.same):
                self._answer(asked, False, Reason.REQUESTER_GONE, "the connection was lost")
        self._cases.clear()

    def _recalled(self, asked: Asked, admission: Admission) -> None:
        if admission.outcome is not None:
            outcome = admission.outcome
            self._answer(asked, outcome.ok, outcome.reason, outcome.text, repeated=True)
        elif admission.leader is not None:
            self._cases[admission.leader].same.append(asked)

    def _new(self, asked: Asked, request: FenceRequest) -> None:
        found = self._find(request.target)
        unread = () if as_uuid(request.target) else self._daemon.ownership.unread(self._daemon.now())
        objection = verdict.first_objection(request, Evidence(found, silent=unread), verdict.DOOR_RULES)
        if objection is not None:
            self._tell(asked, verdict.failure(request, objection))
            return
        case = Case(asked, request, found[0].uuid, digest_of(request), found)
        admission = self._ledger.admit(request, case.vm, lambda: asked.wanted, alone=True)
        if admission.step is Step.REFUSED:
            outcome = _refused(request, admission)
            self._ledger.remember(request, outcome)
            self._tell(asked, outcome)
            return
        self._cases[request.id] = case
        patience = max(asked.deadline - self._daemon.scheduler.now, 0.0)
        late = partial(self._daemon.run, partial(self._too_late, case))
        self._daemon.scheduler.after(patience + GRACE, late)
        self._go_on(case, admission)

    def _find(self, target: str) -> tuple[VmRecord, ...]:
        ownership = self._daemon.ownership
        records = ownership.known(Uuid(target))
        if records:
            return records
        return tuple(record for vm in sorted(ownership.named(target)) for record in ownership.known(vm))

    def _go_on(self, case: Case, admission: Admission) -> None:
        if admission.step is Step.REFUSED:
            self._finish(case, _refused(case.request, admission))
        elif admission.step is Step.JOIN and admission.leader is not None:
            self._cases[admission.leader].joined.append(case)
        elif admission.step is Step.RUN:
            self._run(case)

    # -- acting ----------

    def _run(self, case: Case) -> None:
        case.found = self._daemon.ownership.known(case.vm) or case.found
        if case.request.action is Action.ON:
            self._begin_start(case)
            return
        permit = partial(self._permit, case, lambda: None)
        self._begin(self._daemon.federation.submit_fence, self._matter(case, permit))

    def _begin_start(self, case: Case) -> None:
        permit = partial(self._permit, case, partial(self._start_cancelled, case))
        self._begin(self._daemon.federation.submit_start, self._matter(case, permit))

    def _begin(self, submit: Callable[[Matter, float], Effects], matter: Matter) -> None:
        self._daemon.hurry()
        self._daemon.carry(submit(matter, self._daemon.now()))

    def _matter(self, case: Case, permit: Callable[[], Reason | None]) -> Matter:
        return Matter(case.request, case.vm, case.identity, None, case.found, permit)

    def _permit(self, case: Case, also: Callable[[], Reason | None]) -> Reason | None:
        wanted, condemned = self._ledger.begin(case.request.id)
        standing = Standing(self._daemon.now(), wanted, condemned)
        return permission.s12_s16_may_act(case.request, standing, None) or also()

    def _start_cancelled(self, case: Case) -> Reason | None:
        return Reason.START_CANCELLED if self._ledger.start_is_cancelled(case.request.id) else None

    def concluded(self, effect: Conclude) -> None:
        """The machine has laid down its evidence."""
        case = self._cases.get(effect.request)
        if case is None:
            return
        if case.request.action is Action.ON or case.ended is not None:
            self._decide(case, case.ended or effect.evidence, effect.evidence)
            return
        reboot = case.request.action is Action.REBOOT and verdict.decide_off(case.request, effect.evidence).ok
        if reboot and verdict.is_to_be_started(effect.evidence):
            case.ended = effect.evidence
            self._begin_start(case)
            return
        self._decide(case, effect.evidence, None)

    def _decide(self, case: Case, evidence: Evidence, start: Evidence | None) -> None:
        for joined in case.joined:
            if joined.request.id in self._cases:
                self._finish(joined, _outcome(joined.request, evidence, start))
        self._finish(case, _outcome(case.request, evidence, start))

    def _too_late(self, case: Case) -> None:
        """S9, S5: what breaks a start takes nothing from a proven off."""
        if case.request.id not in self._cases:
            return
        late = Objection(Reason.DEADLINE, "the time for this request was over before anything was proven")
        if case.ended is not None:
            self._finish(case, _outcome(case.request, case.ended, Evidence(case.found, objection=late)))
        else:
            self._finish(case, verdict.failure(case.request, late))

    def _finish(self, case: Case, outcome: FenceOutcome) -> None:
        del self._cases[case.request.id]
        for asked in (case.asked, *case.same):
            self._tell(asked, outcome)
        told = self._ledger.finish(outcome)
        patience = max(case.request.deadline.at - self._daemon.now(), 0.0)
        self._daemon.carry(self._daemon.federation.settled(case.identity, outcome, patience))
        # Who joins does so before its leader runs, as that may be over in this instant.
        for waiter, admission in sorted(told, key=lambda each: each[1].step is not Step.JOIN):
            # One that went on before it may be over already, and this one after it.
            if waiter in self._cases:
                self._go_on(self._cases[waiter], admission)

    # -- answering ----------

    def _tell(self, asked: Asked, outcome: FenceOutcome) -> None:
        self._answer(asked, outcome.ok, outcome.reason, outcome.text)

    def _answer(self, asked: Asked, ok: bool, reason: Reason, text: str, repeated: bool = False) -> None:
        self._daemon.sim.oracle.answered(asked, ok, reason, text, repeated)


def _outcome(request: FenceRequest, evidence: Evidence, start: Evidence | None) -> FenceOutcome:
    if request.action is Action.REBOOT:
        return verdict.decide_reboot(request, evidence, start)
    if request.action is Action.ON:
        return verdict.decide_on(request, start or evidence)
    return verdict.decide_off(request, evidence)


def _refused(request: FenceRequest, admission: Admission) -> FenceOutcome:
    return verdict.failure(request, permission.refused(admission.reason or Reason.INTERNAL))
