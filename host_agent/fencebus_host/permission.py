"""Decides whether an act may still happen, directly before it (S12, S16).  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_host.objection import Objection
from fencebus_schemas.model import FenceRequest, Life, Reason


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true of a request at the moment directly before its act."""

    now: float
    wanted: bool
    """Somebody who asked is still there."""
    condemned: bool
    """A fence of the request's own source was accepted."""


def s12_s16_may_act(request: FenceRequest, standing: Standing, life: Life | None) -> Reason | None:
    """S12, S16: nothing late, nothing for a requester who left, nothing for a condemned one, no life younger than the
    request.

    ``life`` is the life about to end, ``None`` before a start.  Returns the reason to refuse, or ``None``.
    """
    if standing.condemned:
        return Reason.SOURCE_FENCED
    if not standing.wanted:
        return Reason.REQUESTER_GONE
    if standing.now >= request.deadline.at:
        return Reason.DEADLINE
    if life is not None and life.began_at is not None and life.began_at > request.received_at:
        return Reason.YOUNGER_LIFE
    return None


REFUSALS = {
    Reason.SOURCE_FENCED: "the requester is being fenced itself",
    Reason.REQUESTER_GONE: "the requester closed its connection before anything was done",
    Reason.DEADLINE: "the time for this request was over before anything was done",
    Reason.YOUNGER_LIFE: "the VM was started after this request was made; ask again to end that life too",
    Reason.PAUSED: "its daemon runs with --dry-run and carries out nothing",
    Reason.START_CANCELLED: "an off for the same VM arrived meanwhile",
}


def refused(reason: Reason) -> Objection:
    """The objection of an act that was refused directly before it."""
    return Objection(reason, REFUSALS.get(reason, f"the act was refused: {reason.value}"))
