"""Converts the evidence of a power action to what is kept of it on disk, and back, so that its verdict can be replayed.

Pure.  What a request's own clock and patience were plays no part in a verdict, and is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fencebus_host.denial import Inquiry
from fencebus_host.evidence import Evidence
from fencebus_host.objection import Objection
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceRequest, Observation, RequestId, Source, VmRecord


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """``Evidence`` without the request."""

    records: tuple[VmRecord, ...]
    observations: tuple[Observation, ...] = ()
    silent: tuple[str, ...] = ()
    objection: Objection | None = None
    inquiry: Inquiry | None = None
    asked_for: str = ""
    """The request for which it was brought; empty where no request stood in it."""


@dataclass(frozen=True, slots=True)
class Course:
    """All that a verdict was drawn from."""

    request: str
    action: str
    target: str
    received_at: float
    end: KeptEvidence
    start: KeptEvidence | None = None
    """The second half of a reboot."""
    at_the_door: bool = False
    """It was refused for what was known before anything was done."""


def course_of(request: FenceRequest, end: Evidence, start: Evidence | None, at_the_door: bool = False) -> Course:
    """What is kept of a power action."""
    action = request.action.name.lower()
    kept = _kept(start) if start is not None else None
    return Course(request.id, action, request.target, request.received_at, _kept(end), kept, at_the_door)


def _kept(evidence: Evidence) -> KeptEvidence:
    asked_for = evidence.request.id if evidence.request else ""
    seen = (evidence.records, evidence.observations, evidence.silent, evidence.objection, evidence.inquiry)
    return KeptEvidence(*seen, asked_for)


def request_of(course: Course) -> FenceRequest:
    """The request, as far as a verdict looks at it."""
    action = Action[course.action.upper()]
    deadline = Deadline(course.received_at, lambda: course.received_at)
    return FenceRequest(RequestId(course.request), action, course.target, Source(""), "", deadline, course.received_at)


def evidence_of(course: Course, kept: KeptEvidence) -> Evidence:
    """The evidence, as it was."""
    request = replace(request_of(course), id=RequestId(kept.asked_for)) if kept.asked_for else None
    return Evidence(kept.records, kept.observations, kept.silent, kept.objection, request, kept.inquiry)
