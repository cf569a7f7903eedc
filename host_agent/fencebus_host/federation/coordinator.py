"""Decides the course of one request across all members, from its first guard to its evidence.  Pure.

The coordinator's state machine of design 5: guard and probe in one, the claimants fenced at once and in parallel,
two rounds where nobody has the target or it was in flight, begin again while in doubt, until the deadline.  It
concludes nothing by itself: after each step it lays what it has before the verdict.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from fencebus_host import permission, verdict
from fencebus_host.denial import Inquiry
from fencebus_host.effects import Conclude, Effects, Send
from fencebus_host.evidence import Evidence, is_plain_end
from fencebus_host.federation.rounds import Rounds
from fencebus_host.federation.rules import LEASE
from fencebus_host.objection import Objection
from fencebus_host.ownership import Ownership
from fencebus_schemas.model import FenceRequest, HostId, Incarnation, Observation, Reason, Uuid, VmRecord, VmState
from fencebus_schemas.peer import Fence, FenceAnswer, Guard, GuardAnswer, Lift, Purpose, Quote

RENEW = 0.5
"""Seconds between two renewals of the guards; also after so many a lost message is sent again."""
AGAIN = 0.1
"""Seconds after which a round that cannot become clean is begun again."""
GRACE = 0.5
"""Seconds that a proven kill waits for the words of members that are not silent: one of them may claim it too (S3)."""
FINAL = frozenset({Reason.DENIED, Reason.SOURCE_FENCED, Reason.REQUESTER_GONE, Reason.NOT_RECORDED})
"""Refusals that no later command of the same request can overcome."""
LATE = frozenset({Reason.STALE_COMMAND, Reason.DEADLINE})
"""Refusals of one command that say nothing of the request."""
LACKED_TOKEN = frozenset({Reason.STALE_COMMAND, Reason.DEADLINE, Reason.YOUNGER_LIFE})
MOST_YOUNG = 3
"""Refusals of a life as too young, each with a fresher token, after which it is taken to be young."""


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


@dataclass(slots=True)
class Progress:
    """What a course has brought so far."""

    rounds: Rounds = field(default_factory=Rounds)
    asked: dict[HostId, float] = field(default_factory=dict)
    """When each member was last sent a guard."""
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

    @property
    def over(self) -> bool:
        """The evidence was handed over; nothing more will come."""
        return self._progress.over

    def begin(self, now: float) -> Effects:
        """Guard the target on all members; ask its recorded owners, at once and in parallel, to act."""
        return self._ask_all(now) + self._advance(now)

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
        progress.rounds.heard(answer)
        return self._advance(now)

    def tick(self, now: float) -> Effects:
        """Time has passed: renew, ask again, or give up."""
        if self._is_late(now):
            return self._advance(now)
        progress = self._progress
        oldest = min(progress.asked.values(), default=now)
        if progress.rounds.is_spoilt() and now - oldest >= AGAIN:
            progress.rounds.begin_again()
            return self._ask_all(now) + self._advance(now)
        stale = [host for host in self._members() if now - progress.asked.get(host, float("-inf")) >= RENEW]
        return [effect for host in stale for effect in self._ask(host, now)] + self._advance(now)

    # -- asking ----------

    def _members(self) -> list[HostId]:
        return sorted(self._ownership.members)

    def _ask_all(self, now: float) -> Effects:
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

    def _quote(self, host: HostId, now: float) -> Quote:
        token, incarnation = self._ownership.quote(host)
        request = self.matter.request
        return Quote(token, incarnation, max(request.deadline.at - now, 0.0), now - request.received_at)

    # -- concluding ----------

    def _advance(self, now: float) -> Effects:
        """Order what can be ordered, and lay what there is before the verdict."""
        effects = self._order(now) if self._progress.objection is None and not self._is_late(now) else []
        if self._progress.rounds.go_on(self._members()):
            return effects + self._ask_all(now)
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
        return Evidence(
            matter.found,
            tuple(progress.observations),
            objection=objection,
            request=matter.request,
            inquiry=self._inquiry(now),
        )

    def _inquiry(self, now: float) -> Inquiry:
        rounds, ownership, vm = self._progress.rounds, self._ownership, self.matter.vm
        members = tuple(self._members())
        unheard = [host for host in members if not rounds.answered(host)]
        waited = self._is_late(now)
        return Inquiry(
            members,
            rounds.first,
            rounds.second,
            rounds.claims(),
            rounds.history,
            bool(ownership.configured),
            ownership.synced,
            tuple(sorted(ownership.conflicts(now))),
            tuple(ownership.last_word(vm, host, now) for host in unheard) if waited else (),
        )

    @abstractmethod
    def _is_enough(self, evidence: Evidence, now: float) -> bool:
        """Whether the course may end before its deadline."""

    @abstractmethod
    def _order(self, now: float) -> Effects:
        """What is to be done now, and where."""

    def _permitted(self) -> bool:
        reason = self.matter.permit()
        if reason is not None:
            self._progress.objection = permission.refused(reason)
        return reason is None


class FenceCourse(Course):
    """An ``off``, or the first half of a ``reboot``: every claimant is fenced."""

    def fence_answered(self, answer: FenceAnswer, now: float) -> Effects:
        """What a claimant did."""
        progress = self._progress
        order = progress.orders.pop(answer.sender, None)
        if order is None or self._is_late(now):
            return self._advance(now)
        if answer.observation is None:
            self._refused(answer, order, now)
            return self._advance(now)
        if answer.observation in progress.observations:
            # The answer came twice, or nothing has happened since: it says nothing of what was claimed after it (S3).
            progress.orders[answer.sender] = order
            return self._advance(now)
        progress.observations.append(answer.observation)
        if answer.observation.state is VmState.OFF:
            progress.rounds.ended(answer.sender, answer.observation.ended)
        else:
            # It is to be ordered again, if it still is a claim then.
            progress.orders[answer.sender] = Ordered(now - RENEW + AGAIN)
        if is_plain_end(answer.observation) and progress.proven_at is None:
            progress.proven_at = now
        # S2: what was denied before the last kill counts for nothing.
        progress.rounds.begin_again()
        effects = self._advance(now)
        return effects if self.over else effects + self._ask_all(now)

    def _refused(self, answer: FenceAnswer, order: Ordered, now: float) -> None:
        reason = answer.refusal or Reason.INTERNAL
        objection = Objection(reason, answer.text or f"{answer.sender}: {permission.refused(reason).text}")
        if reason not in LATE:
            self._progress.last = objection
        order.young += reason is Reason.YOUNGER_LIFE
        if reason not in FINAL and order.young < MOST_YOUNG:
            # At once with the token that came with the refusal, where that was what it lacked.
            at_once = reason in LACKED_TOKEN and now - order.sent_anew >= RENEW
            order.sent_at, order.sent_anew = (now - RENEW, now) if at_once else (now, order.sent_anew)
            self._progress.orders[answer.sender] = order
        else:
            self._progress.objection = objection

    def _order(self, now: float) -> Effects:
        """A claimant is any member that claims the target, or was last known to."""
        progress = self._progress
        due = [host for host in self._claimants() if self._is_due(host, now)]
        if not due or not self._source_knows(now) or not self._permitted():
            return []
        for host in due:
            progress.orders.setdefault(host, Ordered(now)).sent_at = now
        return [Send(self._fence(host, now)) for host in due]

    def _claimants(self) -> list[HostId]:
        progress = self._progress
        claiming = {word.host for word in progress.rounds.claims()}
        heard = {seen.host for seen in progress.observations}
        recorded = {record.host for record in self._ownership.claimants(self.matter.vm)}
        unheard = {host for host in recorded if not progress.rounds.answered(host)} - heard
        # What was ordered is ordered again until it is answered: who has killed and restarted can still attest it (S4).
        return sorted((claiming | unheard | progress.orders.keys()) & self._ownership.members)

    def _is_due(self, host: HostId, now: float) -> bool:
        order = self._progress.orders.get(host)
        return order is None or now - order.sent_at >= RENEW

    def _source_knows(self, now: float) -> bool:
        """S16: nothing is killed for a guest before the host of that guest knows what it asks for."""
        return self.matter.request.source.vm is None or now < self._progress.source_known_until

    def _fence(self, host: HostId, now: float) -> Fence:
        matter, request = self.matter, self.matter.request
        known = self._progress.source_known_until - now if request.source.vm is not None else LEASE
        return Fence(
            self._me,
            self._incarnation,
            host,
            request.id,
            matter.identity,
            request.action,
            matter.vm,
            request.source,
            matter.cluster,
            request.target,
            request.via,
            tuple(sorted(self._progress.lives)),
            min(known, LEASE),
            self._quote(host, now),
        )

    def _is_enough(self, evidence: Evidence, now: float) -> bool:
        if not verdict.decide_off(self.matter.request, evidence).ok:
            return False
        proven, awaited = self._progress.proven_at, self._awaited(now)
        # What this host has itself it can always say, however slow its hypervisor is.
        return proven is None or not awaited or (now >= proven + GRACE and self._me not in awaited)

    def _awaited(self, now: float) -> list[HostId]:
        """Members that are not silent and have said nothing yet, or have not answered an order (S3)."""
        heard = {seen.host for seen in self._progress.observations} | self._progress.rounds.heard_from
        heard -= self._progress.orders.keys()
        return [host for host in self._members() if host not in heard and not self._ownership.is_silent(host, now)]
