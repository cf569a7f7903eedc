"""Decides why a power action came out as it did: asks each rule of the verdict what it says of the kept evidence.

Pure.  The rules are those that decide, not a copy of them; where they say something else today than was answered then
(another version answered), the explanation says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

from fencebus_host import denial, verdict
from fencebus_host.control_course import Course, KeptEvidence, evidence_of, request_of
from fencebus_host.evidence import Evidence, Rule, is_plain_end
from fencebus_host.objection import Objection
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest
from fencebus_schemas.status import VERSION, Claim, Explanation, FinishedFence, RuleStatus

NOTHING_KEPT = (
    "no evidence was kept: it was answered before anything was looked at, or repeats an earlier answer, or an older "
    "fence_virtd wrote it"
)


def explain(fence: FinishedFence, course: Course | None) -> Explanation:
    """The explanation of a power action; without its evidence there is only its reason."""
    if course is None:
        missing = () if fence.ok else (fence.text or fence.reason,)
        return Explanation(VERSION, fence, "", (), missing, note=NOTHING_KEPT)
    rules = tuple(_rules(course))
    objecting = [rule for rule in rules if rule.objects]
    replayed = replay(course)
    return Explanation(
        version=VERSION,
        fence=fence,
        decided_by=objecting[0].rule if objecting and not fence.ok else "",
        rules=rules,
        missing=() if fence.ok else tuple(dict.fromkeys([*(rule.text for rule in objecting), replayed.text])),
        claims=tuple(Claim(one.host, one.state.value, one.hypervisor, one.generation) for one in course.end.records),
        agrees=(replayed.ok, replayed.reason.value) == (fence.ok, fence.reason),
    )


def replay(course: Course) -> FenceOutcome:
    """The verdict on the kept evidence, drawn now."""
    request, end = request_of(course), evidence_of(course, course.end)
    if course.at_the_door:
        objection = verdict.first_objection(request, end, verdict.DOOR_RULES)
        return verdict.failure(request, objection, end) if objection else verdict.decide_off(request, end)
    if request.action is Action.REBOOT:
        start = evidence_of(course, course.start) if course.start else None
        return verdict.decide_reboot(request, end, start)
    return verdict.decide_on(request, end) if request.action is Action.ON else verdict.decide_off(request, end)


def _rules(course: Course) -> Iterator[RuleStatus]:
    request = request_of(course)
    if course.at_the_door:
        yield from _asked(request, evidence_of(course, course.end), verdict.DOOR_RULES)
    elif request.action is Action.ON:
        yield from _of_start(request, course, course.end)
    else:
        yield from _of_end(request, evidence_of(course, course.end))
        if course.start is not None:
            yield from _of_start(request, course, course.start)


def _of_end(request: FenceRequest, evidence: Evidence) -> Iterator[RuleStatus]:
    rules = verdict.OFF_RULES if evidence.inquiry is None else verdict.FEDERATED_OFF_RULES
    yield from _asked(request, evidence, rules)
    yield from _of_members(evidence)


def _of_start(request: FenceRequest, course: Course, kept: KeptEvidence) -> Iterator[RuleStatus]:
    evidence = evidence_of(course, kept)
    yield from _asked(request, evidence, verdict.ON_RULES if evidence.inquiry is None else verdict.FEDERATED_ON_RULES)
    yield from _of_members(evidence)


def _of_members(evidence: Evidence) -> Iterator[RuleStatus]:
    """What each rule about the members' words says, where the rule above them found them wanting."""
    if evidence.inquiry is None or denial.missing(evidence.inquiry) is None:
        return
    if any(is_plain_end(seen) for seen in evidence.observations):
        return
    for rule in denial.RULES:
        yield _said(rule, rule(evidence.inquiry))


def _asked(request: FenceRequest, evidence: Evidence, rules: tuple[Rule, ...]) -> Iterator[RuleStatus]:
    for rule in rules:
        yield _said(rule, rule(request, evidence))


def _said(rule: Callable[..., object], objection: Objection | None) -> RuleStatus:
    says = (inspect.getdoc(rule) or "").split("\n\n")[0].replace("\n", " ")
    if objection is None:
        return RuleStatus(rule.__name__, says, objects=False)
    return RuleStatus(rule.__name__, says, True, objection.reason.value, objection.text)
