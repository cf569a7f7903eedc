"""Decides whose death is asked after for a request, and what the dead are known to have had (S13).  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fencebus_host.denial import Word
from fencebus_host.effects import AskProof
from fencebus_host.federation.rounds import DEAD
from fencebus_host.host_death import PLAIN, Circumstances, Deposition, Fate, Finding
from fencebus_host.objection import Objection
from fencebus_host.ownership import Ownership
from fencebus_schemas.model import HostId, Incarnation, Observation, Proof, Sight, Uuid, VmRecord, VmState

UNANSWERED = 1.0
"""Seconds after which a member that is not silent yet, but has not answered a round, is asked after."""
AGAIN = 0.5
"""Seconds between a witness' answer and the same question."""
PATIENCE = 10.0
"""Seconds that witnesses have for one answer, at most."""


@dataclass(slots=True)
class _Doubt:
    """What one member's silence has brought."""

    round: int
    since: float
    """When the round was found without its answer."""
    pending: bool = False
    answered_at: float = float("-inf")
    said: str = ""


class Proving:
    """The deaths that are asked after for one request."""

    def __init__(self, vm: Uuid, ownership: Ownership) -> None:
        self._vm, self._ownership = vm, ownership
        self._doubts: dict[HostId, _Doubt] = {}

    def due(self, unheard: Iterable[HostId], round_: int, now: float) -> list[HostId]:
        """Which of those that have not answered this round are to be asked after now.

        At once where a host is silent past its heartbeats, or was found dead in the round before.
        """
        return [host for host in unheard if self._is_due(host, round_, now)]

    def _is_due(self, host: HostId, round_: int, now: float) -> bool:
        doubt = self._doubts.setdefault(host, _Doubt(round_, now))
        if doubt.round != round_:
            # Who was asked after in an earlier round is asked after in this one without delay.
            since = now - UNANSWERED if doubt.said else now
            doubt.round, doubt.since, doubt.answered_at = round_, since, float("-inf")
        waited = now - doubt.since >= UNANSWERED or self._ownership.is_silent(host, now)
        return waited and not doubt.pending and now - doubt.answered_at >= AGAIN

    def asked(self, host: HostId) -> None:
        """The question goes out."""
        self._doubts[host].pending = True

    def seen(self, question: AskProof, finding: Finding, lack: Objection | None, now: float) -> None:
        """What came of it; ``lack``: what keeps it from standing for the host's denial."""
        doubt = self._doubts[question.host]
        doubt.pending, doubt.answered_at = False, now
        says_dead = finding.fate in (Fate.OFF, Fate.FENCED)
        if not (finding.cut_off and doubt.said):
            doubt.said = lack.text if lack is not None and says_dead else finding.text

    def said(self, host: HostId) -> str:
        """For people: what the witnesses said last, or why that does not count; empty if they were not asked."""
        doubt = self._doubts.get(host)
        return doubt.said if doubt else ""

    # -- what is known of the dead ----------

    def may_act(self, host: HostId, now: float) -> bool:
        """Only a host that is silent, and was the last known to have the target, may be switched off for it."""
        records = self._ownership.claimants(self._vm)
        return self._ownership.is_silent(host, now) and any(record.host == host for record in records)

    def circumstances(
        self, host: HostId, claim: Sight | None, requested_at: float, stood_at: float | None
    ) -> Circumstances:
        """``claim``: by which the host has claimed the target in this course, if it has."""
        ownership = self._ownership
        return Circumstances(
            ownership.incarnation_of(host),
            ownership.heard_at(host),
            _last_state(ownership.last_records(self._vm, host), claim),
            requested_at,
            stood_at,
        )

    def word(self, deposition: Deposition, now: float) -> Word:
        """What a dead host would say, as of now: no life is here any more."""
        host = deposition.host
        records = self._ownership.last_records(self._vm, host) or ()
        ended = tuple(record.life or f"with {host}" for record in records if record.state.is_claim)
        sight = Sight(self._vm, VmState.OFF, bool(records), ended=ended, detail=deposition.finding.text)
        return Word(host, deposition.incarnation or NOBODY, DEAD, sight, deposition, now)

    def observation(self, word: Word) -> Observation:
        """The proof, for the outcome; it tells nothing of a life, so that no rule takes it for a kill."""
        assert word.deposition is not None
        asked_at, text = word.deposition.asked_at, word.deposition.finding.text
        return Observation(self._vm, VmState.OFF, word.host, word.incarnation, Proof.HOST_FENCED, asked_at, detail=text)


NOBODY = Incarnation("", "", "")


def _last_state(records: tuple[VmRecord, ...] | None, claim: Sight | None) -> VmState | None:
    """The worst that was said, as what outlives a host decides."""
    if records is None:
        return None
    states = [record.state for record in records] + ([claim.state] if claim is not None else [])
    outliving = [state for state in states if state not in PLAIN]
    return (outliving or states or [VmState.OFF])[0]
