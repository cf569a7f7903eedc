"""Carries out power actions in the order that the ledger gives, and draws each requester's verdict from what they
bring.

A shell: the ledger decides who acts when, the verdict decides what was achieved, the router acts.  An action has a
task of its own, so that it ends by its deadline whatever becomes of the connection that asked for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fencebus_agent.hypervisor import ActRefused, HypervisorError, Permit
from fencebus_host import permission, verdict
from fencebus_host.ledger import Admission, Ledger, Step
from fencebus_host.objection import Objection
from fencebus_host.permission import Standing
from fencebus_host.ports import Record, Router, Wanted
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Life, Reason, RequestId, Uuid, VmState

log = logging.getLogger(__name__)

Act = Callable[[Uuid, Evidence, Deadline, Permit], Awaitable[Evidence]]

GRACE = 0.5
"""Seconds past the deadline that a router may take to tell why it failed; the client's own patience is longer still."""


class RecordError(FencebusError):
    """A record could not be written to the disk."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"the record of the kill could not be written: {self.detail}"


@dataclass(frozen=True, slots=True)
class Course:
    """What one run of an action brought: for a reboot both halves."""

    evidence: Evidence
    start: Evidence | None = None


Witness = Callable[[FenceRequest, Evidence, Evidence | None, bool], None]
"""Sees what each verdict is drawn from, before it is told: a request, the evidence of its end (or start), for a reboot
that of its start; true if it was refused at the door.  Never blocks, never fails."""


def no_witness(_request: FenceRequest, _end: Evidence, _start: Evidence | None, _at_the_door: bool) -> None:
    """Nobody looks."""


class Case:
    """One requester's power action, from its admission to its outcome."""

    def __init__(self, request: FenceRequest, vm: Uuid, found: Evidence) -> None:
        loop = asyncio.get_running_loop()
        self.request = request
        self.vm = vm
        self.found = found
        self.turn: asyncio.Future[Admission] = loop.create_future()
        self.course: asyncio.Future[Course] = loop.create_future()
        self.joined: asyncio.Future[Course] | None = None
        self.proven: Evidence | None = None
        """The first half of a reboot, once it is proven."""
        self.outcome: asyncio.Future[FenceOutcome] = loop.create_future()


class Fencing:
    """All power actions of this host."""

    def __init__(
        self,
        router: Router,
        ledger: Ledger,
        record: Record,
        clock: Clock = boottime,
        witness: Witness = no_witness,
    ) -> None:
        self._router = router
        self._ledger = ledger
        self._record = record
        self._clock = clock
        self._witness = witness
        self._cases: dict[RequestId, Case] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def recall(self, request: FenceRequest, wanted: Wanted) -> asyncio.Future[FenceOutcome] | None:
        """The outcome, present or to come, of a request that was seen before (S7)."""
        admission = self._ledger.recall(request, wanted)
        if admission is None:
            return None
        if admission.outcome is not None:
            done: asyncio.Future[FenceOutcome] = asyncio.get_running_loop().create_future()
            done.set_result(admission.outcome)
            return done
        assert admission.leader is not None
        return self._cases[admission.leader].outcome

    def submit(self, request: FenceRequest, found: Evidence, wanted: Wanted) -> asyncio.Future[FenceOutcome]:
        """Begin, join or queue a power action on the one VM in ``found``; the future is always resolved by the
        deadline.
        """
        vm = found.records[0].uuid
        case = Case(request, vm, found)
        # S7: what a federation brings counts for one request alone; the verdict sees to it too.
        admission = self._ledger.admit(request, vm, wanted, alone=found.inquiry is not None)
        if admission.step is Step.REFUSED:
            refusal = _refused(request, admission)
            self._ledger.remember(request, refusal)
            case.outcome.set_result(refusal)
            return case.outcome
        self._cases[request.id] = case
        if admission.step is not Step.WAIT:
            self._tell(case, admission)
        task = asyncio.create_task(self._follow(case), name=f"fence {request.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return case.outcome

    async def drain(self, seconds: float) -> None:
        """Wait for what runs, at most so long: a daemon that stops should answer what it has begun."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    # -- one case ----------

    def _tell(self, case: Case, admission: Admission) -> None:
        """Let a case go on; the leader's course is taken at once, because the leader may be gone when the joiner
        wakes.
        """
        if admission.leader is not None:
            case.joined = self._cases[admission.leader].course
        if not case.turn.done():
            case.turn.set_result(admission)

    async def _follow(self, case: Case) -> None:
        try:
            outcome = await self._outcome(case)
        except TimeoutError:
            outcome = self._broken_off(case, _DEADLINE)
        except Exception:  # the root of this task: a defect must become a failure, not a requester without an answer
            log.exception("request=%s defect while fencing", case.request.id)
            outcome = self._broken_off(case, _DEFECT)
        self._conclude(case, outcome)

    def _broken_off(self, case: Case, objection: Objection) -> FenceOutcome:
        """The outcome of a case that did not run to its end.  S5: what breaks a start takes nothing from a proven
        off.
        """
        if case.proven is None:
            return verdict.failure(case.request, objection)
        course = Course(case.proven, dataclasses.replace(case.found, objection=objection))
        if not case.course.done():
            case.course.set_result(course)
        return _decide(case.request, course)

    async def _outcome(self, case: Case) -> FenceOutcome:
        waited = not case.turn.done()
        async with asyncio.timeout(case.request.deadline.remaining() + GRACE):
            admission = await case.turn
            if admission.step is Step.REFUSED:
                return _refused(case.request, admission)
            if case.joined is not None:
                return _decide(case.request, await asyncio.shield(case.joined))
            if waited:
                case.found = await self._router.find(case.vm, case.request.deadline)
            return _decide(case.request, await self._run(case))

    def _conclude(self, case: Case, outcome: FenceOutcome) -> None:
        if not case.course.done():
            case.course.set_result(
                Course(dataclasses.replace(case.found, objection=Objection(outcome.reason, outcome.text)))
            )
        course = case.joined if case.joined is not None and case.joined.done() else case.course
        self._witness(case.request, course.result().evidence, course.result().start, False)
        case.outcome.set_result(outcome)
        del self._cases[case.request.id]
        for waiter, admission in self._ledger.finish(outcome):
            self._tell(self._cases[waiter], admission)

    # -- acting ----------

    async def _run(self, case: Case) -> Course:
        if case.request.action is Action.ON:
            course = Course(await self._start(case, case.found))
        else:
            course = await self._end(case)
        case.course.set_result(course)
        return course

    async def _end(self, case: Case) -> Course:
        """An off, and for a reboot the start behind it (S5)."""
        request = case.request
        ended = await self._recorded(request, await self._kill(case))
        proven = verdict.decide_off(request, ended).ok
        if request.action is not Action.REBOOT or not proven or not verdict.is_to_be_started(ended):
            return Course(ended)
        case.proven = ended
        return Course(ended, await self._start(case, case.found))

    async def _kill(self, case: Case) -> Evidence:
        permit = self._permit(case.request, lambda: None)
        return await self._guarded(case, self._router.power_off, case.found, permit)

    async def _start(self, case: Case, found: Evidence) -> Evidence:
        objection = verdict.s15_one_place_to_start(case.request, found)
        if objection:
            return dataclasses.replace(found, objection=objection)
        permit = self._permit(case.request, lambda: self._start_cancelled(case.request.id))
        return await self._guarded(case, self._router.power_on, found, permit)

    async def _guarded(self, case: Case, act: Act, found: Evidence, permit: Permit) -> Evidence:
        """The evidence of an act; one that fails or is refused is evidence too."""
        try:
            asked = dataclasses.replace(found, request=case.request)
            return await act(case.vm, asked, case.request.deadline, permit)
        except ActRefused as refusal:
            return dataclasses.replace(found, objection=permission.refused(refusal.reason))
        except HypervisorError as error:
            return dataclasses.replace(found, objection=Objection(Reason.HYPERVISOR_ERROR, str(error)))
        finally:
            self._ledger.observed(case.request.id)

    async def _recorded(self, request: FenceRequest, evidence: Evidence) -> Evidence:
        """S4: a kill is on the disk before anybody is told of it, also one that proved nothing: a daemon that starts
        again must not take what it left behind for an ordinary "off" (S14).
        """
        if all(seen.state is VmState.OFF and seen.ended is None for seen in evidence.observations):
            return evidence
        try:
            await self._record.ended(request, evidence)
        except RecordError as error:
            return dataclasses.replace(evidence, objection=Objection(Reason.NOT_RECORDED, str(error)))
        return evidence

    def _permit(self, request: FenceRequest, also: Callable[[], Reason | None]) -> Permit:
        """What is asked directly before the act, in the thread that acts (S12, S16)."""

        def permit(life: Life | None) -> None:
            wanted, condemned = self._ledger.begin(request.id)
            standing = Standing(self._clock(), wanted, condemned)
            reason = permission.s12_s16_may_act(request, standing, life) or also()
            if reason:
                raise ActRefused(reason)

        return permit

    def _start_cancelled(self, request: RequestId) -> Reason | None:
        return Reason.START_CANCELLED if self._ledger.start_is_cancelled(request) else None


_DEADLINE = Objection(Reason.DEADLINE, "the time for this request was over before anything was proven")
_DEFECT = Objection(Reason.INTERNAL, "a defect in the daemon; its log has the details")


def _refused(request: FenceRequest, admission: Admission) -> FenceOutcome:
    return verdict.failure(request, permission.refused(admission.reason or Reason.INTERNAL))


def _decide(request: FenceRequest, course: Course) -> FenceOutcome:
    if request.action is Action.REBOOT:
        return verdict.decide_reboot(request, course.evidence, course.start)
    if request.action is Action.ON:
        return verdict.decide_on(request, course.evidence)
    return verdict.decide_off(request, course.evidence)
