"""Decides what the words of many hosts prove: each rule of the verdict on a fence across hosts, a function each.  Pure.

A rule returns its objection, or ``None``, as in ``verdict``.
"""

from __future__ import annotations

import dataclasses

from fencebus_host import denial
from fencebus_host.evidence import ALIVE, Evidence, is_plain_end
from fencebus_host.objection import Objection
from fencebus_schemas.model import FenceRequest, Reason


def s7_brought_for_this_request(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S7: what a federation brings counts only for the request for which it was asked.

    It was seen on other hosts' clocks: nobody can say whether that was before or after another request arrived here,
    so that the kill may be older than that one, and what runs now a later life.
    """
    if evidence.inquiry is None or (evidence.request is not None and evidence.request.id == request.id):
        return None
    return Objection(Reason.STALE_OBSERVATION, "what the other hosts say was asked for another request")


def s3_nobody_else_claims_it(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S3: no success while the last word of any member is that it has the target."""
    return denial.s3_no_other_claim(evidence.inquiry) if evidence.inquiry else None


def s2_quorum_or_own_eyes(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S2: without a quorum nothing of another host is declared off; what was seen to end on this one has ended."""
    inquiry = evidence.inquiry
    if inquiry is None or any(is_plain_end(seen) and seen.host == inquiry.minority for seen in evidence.observations):
        return None
    return denial.s2_quorum_stands(inquiry)


def s2_killed_plainly_or_nobody_has_it(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S1, S2, S4, S14: one plain kill by a present owner, or two rounds in which every member denies.

    A kill was ordered by a command of this very request, so that it is later than the request on whatever clock.
    """
    if evidence.inquiry is None or any(is_plain_end(seen) for seen in evidence.observations):
        return None
    lack = denial.missing(evidence.inquiry)
    unproven = [seen.detail for seen in evidence.observations if seen.detail]
    return Objection(lack.reason, "; ".join([lack.text, *unproven[-1:]])) if lack else None


def s3_nobody_claims_it_at_its_start(ended: Evidence, start: Evidence) -> Objection | None:
    """S3: a member that claims the target only when it is to be started has another copy of it, an old one for all that
    is known; save where the old life was seen to end, because what runs there now is a later one.
    """
    if start.inquiry is None:
        return None
    places = {seen.host for seen in ended.observations if is_plain_end(seen)}
    others = tuple(word for word in start.inquiry.claims if word.host not in places)
    return denial.s3_no_other_claim(dataclasses.replace(start.inquiry, claims=others))


def s15_nobody_else_has_it(request: FenceRequest, evidence: Evidence) -> Objection | None:
    """S15: what was off is started only after two rounds in which every member denied; a second copy ruins disks."""
    if evidence.inquiry is None or any(seen.was in ALIVE for seen in evidence.observations):
        return None
    lack = denial.missing(evidence.inquiry)
    return Objection(Reason.NOT_STARTED, lack.text) if lack else None
