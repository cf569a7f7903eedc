"""Decides the course of an ``off``: every claimant is fenced, and every answer brings the verdict nearer.  Pure."""

from __future__ import annotations

from fencebus_host import permission, verdict
from fencebus_host.effects import Effects, Send
from fencebus_host.evidence import Evidence, is_plain_end
from fencebus_host.federation.coordinator import AGAIN, RENEW, Course, Ordered
from fencebus_host.federation.rounds import NEVER
from fencebus_host.federation.rules import LEASE
from fencebus_host.objection import Objection
from fencebus_schemas.model import HostId, Reason, VmState
from fencebus_schemas.peer import Fence, FenceAnswer, GuardAnswer

GRACE = 0.5
"""Seconds that a proven kill waits for the words of members that are not silent: one of them may claim it too (S3)."""
FINAL = frozenset({Reason.DENIED, Reason.SOURCE_FENCED, Reason.REQUESTER_GONE, Reason.NOT_RECORDED})
"""Refusals that no later command of the same request can overcome."""
LATE = frozenset({Reason.STALE_COMMAND, Reason.DEADLINE})
"""Refusals of one command that say nothing of the request."""
LACKED_TOKEN = frozenset({Reason.STALE_COMMAND, Reason.DEADLINE, Reason.YOUNGER_LIFE})
MOST_YOUNG = 3
"""Refusals of a life as too young, each with a fresher token, after which it is taken to be young."""


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
            self._answered_again(answer.sender, order)
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
        return self._advance(now) + self._asked_anew(now)

    def guard_answered(self, answer: GuardAnswer, now: float) -> Effects:
        """As for every course."""
        return super().guard_answered(answer, now) + self._asked_anew(now)

    def _asked_anew(self, now: float) -> Effects:
        """The round that a kill has begun; not while nothing is awaited but first words, which are on their way."""
        rounds = self._progress.rounds
        if self.over or self._progress.asked_round == rounds.number or self._is_proven(now):
            return []
        return self._ask_all(now)

    def _is_proven(self, now: float) -> bool:
        return verdict.decide_off(self.matter.request, self._evidence(now)).ok

    def _answered_again(self, host: HostId, order: Ordered) -> None:
        """The answer came twice, or what is there now is not for us to end (S12): it ends no claim (S3)."""
        order.young += any(word.host == host for word in self._progress.rounds.claims())
        self._progress.orders[host] = order
        if order.young >= MOST_YOUNG:
            text = f"{host} ended it, and has it again since: ask again to end that life too"
            self._progress.objection = Objection(Reason.STILL_CLAIMED, text)

    def _refused(self, answer: FenceAnswer, order: Ordered, now: float) -> None:
        reason = answer.refusal or Reason.INTERNAL
        objection = Objection(reason, answer.text or f"{answer.sender}: {permission.refused(reason).text}")
        if reason not in LATE:
            self._progress.last = objection
        order.young += reason is Reason.YOUNGER_LIFE
        order.idle = objection if reason is Reason.PAUSED else None
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
        progress.objection = self._stays()
        if progress.objection is not None:
            return []
        due = [host for host in self._claimants() if self._is_due(host, now)]
        if not due or not self._source_knows(now) or not self._permitted():
            return []
        for host in due:
            progress.orders.setdefault(host, Ordered(now)).sent_at = now
        return [Send(self._fence(host, now)) for host in due]

    def _stays(self) -> Objection | None:
        """What a host that carries out nothing has, and nobody takes from it, stays: why wait for the deadline.  What
        that host does not claim, or may be about to lose, another one can end.
        """
        orders = self._progress.orders
        kept = [word.host for word in self._claims() if not word.sight.in_flight]
        return next((orders[host].idle for host in kept if host in orders and orders[host].idle), None)

    def _claimants(self) -> list[HostId]:
        progress = self._progress
        # Who has said that it left has nothing to end.
        claiming = {word.host for word in progress.rounds.claims() if word.at > NEVER}
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
