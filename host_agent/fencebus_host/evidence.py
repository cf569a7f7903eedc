"""Holds what is known about one target, from which the verdict draws an outcome.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host.denial import Inquiry
from fencebus_host.objection import Objection
from fencebus_schemas.model import FenceRequest, Observation, Proof, VmRecord, VmState

ALIVE = (VmState.RUNNING, VmState.PAUSED)
"""The states of a life whose end here is an end: a saved image may be an old one, an incoming process is a guest's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about one target: what was found, what was done to it, and who did not answer."""

    records: tuple[VmRecord, ...]
    """Who said, before the act, that it has the target, and in which state."""
    observations: tuple[Observation, ...] = ()
    """What the acts on the target brought; for ``status`` none are needed."""
    silent: tuple[str, ...] = ()
    """Hypervisors that did not say whether they have the target."""
    objection: Objection | None = None
    """Why an act was not carried out at all, if it was not."""
    request: FenceRequest | None = None
    """On whose behalf an act is done, for a router that has to tell others; for whom a federation was asked."""
    inquiry: Inquiry | None = None
    """What the members of a federation said; ``None`` where this host alone decides."""


Rule = Callable[[FenceRequest, Evidence], Objection | None]


def is_plain_end(seen: Observation) -> bool:
    """S14: a life that was plainly running or paused, seen to end where it was, needs nobody else's word."""
    proven = seen.state is VmState.OFF and seen.proof is not Proof.NONE and not seen.migration_in_flight
    return proven and seen.ended is not None and seen.was in ALIVE
