"""Decides the course of one request across all members, from its first guard to its evidence.  Pure.

The coordinator's state machine of design 5: guard and probe in one, the claimants fenced at once and in parallel,
two rounds where nobody has the target or it was in flight, begin again while in doubt, until the deadline.  It
concludes nothing by itself: after each step it lays what it has before the verdict.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from fencebus_host import host_death, permission
from fencebus_host.denial import Inquiry, Word
from fencebus_host.effects import AskProof, Conclude, Effects, Send
from fencebus_host.evidence import Evidence
from fencebus_host.federation import proving
from fencebus_host.federation.proving import Proving
from fencebus_host.federation.rounds import Rounds
from fencebus_host.federation.rules import LEASE
from fencebus_host.federation.tokens import LIFETIME
from fencebus_host.host_death import Circumstances, Deposition, Finding
from fencebus_host.objection import Objection
from fencebus_host.ownership import Ownership
from fencebus_schemas.model import FenceRequest, HostId, Incarnation, Observation, Reason, Uuid, VmRecord
from fencebus_schemas.peer import Guard, GuardAnswer, Lift, Purpose, Quote

RENEW = 0.5
"""Seconds between two renewals of the guards; also after so many a lost message is sent again."""
AGAIN = 0.1
"""Seconds after which a round that cannot become clean is begun again."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One request, as its coordinator has it."""

    request: FenceRequest
    vm: Uuid
    identity: str
    """Digest of the request's identity (S7)."""
    cluster: str | None
    """The label of the source's guest cluster."""
    found: tuple[VmRecord, ...]
    """Who was known to have the target when the request came in."""
    permit: Callable[[], Reason | None]
    """Asked directly before an order to kill or start goes out: the requester may have left, or be condemned."""


@dataclass(slots=True)
class Ordered:
    """An order to one host, until it is answered."""

    sent_at: float
    sent_anew: float = float("-inf")
    """When it was last sent at once with a fresher token."""
    young: int = 0
    """How many times it was refused because the life there seemed younger than the request."""
    idle: Objection | None = None
    """That host carries out nothing whatever it is told, as it has said."""


@dataclass(slots=True)
class Progress:
    """What a course has brought so far."""

    rounds: Rounds = field(default_factory=Rounds)
    asked: dict[HostId, float] = field(default_factory=dict)
    """When each member was last sent a guard."""
    asked_round: int = 0
    """The last round for which all of them were."""
    asked_anew: dict[HostId, float] = field(default_factory=dict)
    """When each member was last sent one because it refused the token of another."""
    orders: dict[HostId, Ordered] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    lives: set[str] = field(default_factory=set)
    objection: Objection | None = None
    last: Objection | None = None
    """The last refusal that may yet be overcome: the reason, if the deadline comes first."""
    source_known_until: float = float("-inf")
    """So long does the host of the source know of this request (S16)."""
    proven_at: float | None = None
    over: bool = False


class Course(ABC):
    """What every request does: ask all members, round by round."""

    purpose = Purpose.FENCE

    def __init__(self, me: HostId, incarnation: Incarnation, matter: Matter, ownership: Ownership) -> None:
        self._me, self._incarnation, self._ownership = me, incarnation, ownership
        self.matter = matter
        self._progress = Progress()
        self._proving = Proving(matter.vm, ownership)

    @property
    def over(self) -> bool:
        """The evidence was handed over; nothing more will come."""
        return self._progress.over

    def begin(self, now: float) -> Effects:
        """Guard the target on all members; ask its recorded owners, at once and in parallel, to act: they first, as it
        is their act that takes time.
        """
        self._progress.rounds.recorded(self._ownership.claimants(self.matter.vm))
        ordered = self._advance(now)
        return ordered if self.over else ordered + self._ask_all(now) + self._ask_proofs(now)

    def guard_answered(self, answer: GuardAnswer, now: float) -> Effects:
        """One member's word."""
        if self._is_late(now):
            return self._advance(now)
        progress = self._progress
        if answer.refusal is Reason.SOURCE_FENCED:
            progress.objection = progress.objection or permission.refused(Reason.SOURCE_FENCED)
        elif answer.refusal is Reason.STALE_COMMAND:
            return self._ask_anew(answer.sender, now)
        elif answer.refusal is not None:
            progress.last = Objection(answer.refusal, f"{answer.sender} has another request's guard on it")
        if answer.source_here:
            # From the moment at which the guard was sent, not from that of the answer: the lease began in between.
            progress.source_known_until = max(progress.source_known_until, answer.stamp + LEASE)
        if answer.is_old and answer.sight is not None and answer.sight.life is not None:
            progress.lives.add(answer.sight.life.mark)
        progress.rounds.heard(answer, now)
        return self._advance(now)

    def tick(self, now: float) -> Effects:
        """Time has passed: renew, ask again, or give up."""
        if self._is_late(now):
            return self._advance(now)
        progress = self._progress
        progress.rounds.recorded(self._ownership.claimants(self.matter.vm))
        oldest = min(progress.asked.values(), default=now)
        spoilt = progress.rounds.is_spoilt() or len(self._standing()) < len(progress.rounds.dead())
        if spoilt and now - oldest >= AGAIN:
            progress.rounds.begin_again()
            return self._ask_all(now) + self._advance(now)
        stale = [host for host in self._members() if now - progress.asked.get(host, float("-inf")) >= RENEW]
        asked = [effect for host in stale for effect in self._ask(host, now)]
        return asked + self._ask_proofs(now) + self._advance(now)

    def proof_seen(self, question: AskProof, finding: Finding, now: float) -> Effects:
        """S13: what a witness says of a member that does not answer."""
        deposition = Deposition(question.host, question.incarnation, question.asked_at, finding)
        lack = host_death.missing(deposition, self._circumstances(question.host))
        self._proving.seen(question, finding, lack, now)
        if lack is None:
            self._progress.rounds.proven_dead(self._proving.word(deposition, now), question.round, now)
        # Whoever lives has to deny once more after the last proof.
        asked = self._ask_all(now) if lack is None and self._progress.rounds.second else []
        return asked + self._advance(now)

    # -- asking ----------

    def _members(self) -> list[HostId]:
        return sorted(self._ownership.members)

    def _ask_all(self, now: float) -> Effects:
        self._progress.asked_round = self._progress.rounds.number
        return [effect for host in self._members() for effect in self._ask(host, now)]

    def _ask(self, host: HostId, now: float) -> Effects:
        self._progress.asked[host] = now
        matter = self.matter
        guard = Guard(
            self._me,
            self._incarnation,
            host,
            matter.request.id,
            self._progress.rounds.number,
            self.purpose,
            matter.vm,
            matter.request.source.vm,
            self._ownership.members_digest,
            now,
            self._quote(host, now),
        )
        return [Send(guard)]

    def _ask_anew(self, host: HostId, now: float) -> Effects:
        """At once with the token that came with the refusal; but not more often than guards are renewed, as two
        machines of one name would refuse each other's tokens for ever.
        """
        if now - self._progress.asked_anew.get(host, float("-inf")) < RENEW:
            return []
        self._progress.asked_anew[host] = now
        return self._ask(host, now)

    def _ask_proofs(self, now: float) -> Effects:
        rounds, matter = self._progress.rounds, self.matter
        unheard = [host for host in self._members() if host != self._me and not rounds.answered(host)]
        due = self._proving.due(unheard, rounds.number, now)
        for host in due:
            self._proving.asked(host)
        until = min(matter.request.deadline.at, now + proving.PATIENCE)
        return [
            AskProof(
                matter.request.id,
                host,
                self._ownership.incarnation_of(host),
                rounds.number,
                now,
                # A host is switched off for what is to be fenced, never for what is to be started.
                self.purpose is Purpose.FENCE and self._proving.may_act(host, now),
                until,
            )
            for host in due
        ]

    def _quote(self, host: HostId, now: float) -> Quote:
        token, incarnation = self._ownership.quote(host)
        request = self.matter.request
        # Nobody takes a command for fresh that says it is good for longer than a token lives.
        patience = min(max(request.deadline.at - now, 0.0), LIFETIME)
        return Quote(token, incarnation, patience, now - request.received_at)

    # -- concluding ----------

    def _advance(self, now: float) -> Effects:
        """Order what can be ordered, and lay what there is before the verdict."""
        effects = self._order(now) if self._progress.objection is None and not self._is_late(now) else []
        if self._progress.rounds.go_on(self._members()):
            return effects + self._ask_all(now) + self._ask_proofs(now)
        evidence = self._evidence(now)
        if self._is_late(now) or self._progress.objection is not None or self._is_enough(evidence, now):
            return effects + self._conclude(evidence)
        return effects

    def _conclude(self, evidence: Evidence) -> Effects:
        self._progress.over = True
        request = self.matter.request.id
        lifts: Effects = [
            Send(Lift(self._me, self._incarnation, host, request, self.matter.vm)) for host in self._members()
        ]
        return [Conclude(request, evidence), *lifts]

    def _is_late(self, now: float) -> bool:
        return now >= self.matter.request.deadline.at

    def _evidence(self, now: float) -> Evidence:
        progress, matter = self._progress, self.matter
        objection = progress.objection
        if objection is None and self._is_late(now) and not progress.observations:
            objection = progress.last
        dead = tuple(self._proving.observation(word) for word in self._standing() if progress.rounds.is_last(word))
        return Evidence(
            matter.found,
            (*progress.observations, *dead),
            objection=objection,
            request=matter.request,
            inquiry=self._inquiry(now),
        )

    def _inquiry(self, now: float) -> Inquiry:
        rounds, ownership = self._progress.rounds, self._ownership
        members = tuple(self._members())
        # Who has just spoken is not silent: a round that begins anew at the end has no time, as leases end before it.
        unheard = [host for host in members if now - rounds.heard_at.get(host, float("-inf")) > RENEW]
        unheard = [host for host in unheard if not rounds.answered(host)]
        waited = self._is_late(now)
        return Inquiry(
            members,
            rounds.first,
            rounds.second,
            self._claims(),
            rounds.history,
            bool(ownership.configured),
            ownership.synced,
            tuple(sorted(ownership.conflicts(now))),
            tuple(self._last_word(host, now) for host in unheard) if waited else (),
            tuple((word.host, self._circumstances(word.host)) for word in rounds.dead()),
            None if ownership.quorate else self._me,
        )

    def _claims(self) -> tuple[Word, ...]:
        """Standing claims, save of hosts that are proven dead in this round, and of what was handed to them (S13)."""
        dead = [word for word in self._standing() if self._progress.rounds.is_last(word)]
        hosts, ended = {word.host for word in dead}, {mark for word in dead for mark in word.sight.ended}
        return tuple(word for word in self._progress.rounds.claims(ended) if word.host not in hosts)

    def _standing(self) -> list[Word]:
        return [word for word in self._progress.rounds.dead() if self._stands(word)]

    def _stands(self, word: Word) -> bool:
        return word.deposition is not None and not host_death.missing(word.deposition, self._circumstances(word.host))

    def _circumstances(self, host: HostId) -> Circumstances:
        rounds = self._progress.rounds
        claim = next((word.sight for word in rounds.claims() if word.host == host), None)
        stood_at = rounds.stood_at([member for member in self._members() if member != host])
        return self._proving.circumstances(host, claim, self.matter.request.received_at, stood_at)

    def _last_word(self, host: HostId, now: float) -> str:
        said = self._proving.said(host)
        return self._ownership.last_word(self.matter.vm, host, now) + (f" ({said})" if said else "")

    @abstractmethod
    def _is_enough(self, evidence: Evidence, now: float) -> bool:
        """Whether the course may end before its deadline."""

    @abstractmethod
    def _order(self, now: float) -> Effects:
        """What is to be done now, and where."""

    def _permitted(self) -> bool:
        reason = self.matter.permit()
        # That the time is over is found by the next tick too, which says what was missing until then.
        if reason is not None and reason is not Reason.DEADLINE:
            self._progress.objection = permission.refused(reason)
        return reason is None
