"""Decides the course of a start: two rounds of denial under exclusive guards, then one host (S15).  Pure."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host import denial, permission, verdict
from fencebus_host.denial import Inquiry, Word
from fencebus_host.effects import Effects, Send
from fencebus_host.federation.coordinator import RENEW, Course, Matter, Ordered
from fencebus_host.federation.member import UNASKED
from fencebus_host.objection import Objection
from fencebus_host.ownership import Ownership
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import HostId, Incarnation, Observation, Proof, Reason, Sight, VmRecord, VmState
from fencebus_schemas.peer import GuardAnswer, Purpose, Start, StartAnswer


def s15_candidate(found: tuple[VmRecord, ...], last_owner: HostId | None) -> HostId | Objection:
    """S15: the target starts on its last owner, else on the one host that defines it; several candidates fail."""
    claiming = sorted({record.host for record in found if record.state.is_claim})
    if len(claiming) == 1:
        return claiming[0]
    having = sorted({record.host for record in found})
    if not claiming and last_owner in having:
        return last_owner
    if len(having) == 1:
        return having[0]
    where = ", ".join(claiming or having) or "nowhere"
    return Objection(
        Reason.NOT_STARTED, f"it could be started in several places ({where})" if having else "nobody has it"
    )


class StartCourse(Course):
    """An ``on``, or the start after a reboot."""

    purpose = Purpose.START

    def __init__(self, me: HostId, incarnation: Incarnation, matter: Matter, ownership: Ownership) -> None:
        super().__init__(me, incarnation, matter, ownership)
        place = s15_candidate(matter.found, ownership.last_owner(matter.vm))
        self._place = place if isinstance(place, str) else None
        self._progress.objection = place if isinstance(place, Objection) else None
        self._begun_at = float("inf")
        self._claimed_at = float("-inf")
        """When a claim broke last."""
        self._cleared: Inquiry | None = None
        """What the members had said when the start was ordered."""
        self._serial = ""
        """Of the guard under which it was ordered."""

    def begin(self, now: float) -> Effects:
        """As for every course."""
        self._begun_at = now
        return super().begin(now)

    def guard_answered(self, answer: GuardAnswer, now: float) -> Effects:
        """As for every course, save for what was asked before a reboot's kill and comes late; a saved image where the
        target is to be started goes with its fresh boot.
        """
        if UNASKED < answer.stamp < self._begun_at:
            return []
        sight = answer.sight
        if sight is not None and answer.sender == self._place and _is_only_saved(sight):
            answer = replace(answer, sight=replace(sight, state=VmState.OFF, detail="its saved image is given up"))
        return super().guard_answered(answer, now)

    def start_answered(self, answer: StartAnswer, now: float) -> Effects:
        """What the one host did.  S4: a start is never repeated blindly, so whatever it says is the end of it, save
        that the claim broke and nothing was begun.
        """
        progress = self._progress
        order = progress.orders.get(answer.sender)
        if order is None or self._is_late(now):
            return self._advance(now)
        if answer.refusal is Reason.STALE_COMMAND:  # it never got past the door
            order.sent_at = now - RENEW
            return self._advance(now)
        if answer.observation is not None:
            progress.observations.append(answer.observation)
        elif answer.refusal is Reason.NOT_STARTED:
            return self._claim_anew(answer, now)
        else:
            reason = answer.refusal or Reason.INTERNAL
            progress.objection = Objection(reason, answer.text or permission.refused(reason).text)
        return self._advance(now)

    def _claim_anew(self, answer: StartAnswer, now: float) -> Effects:
        """S15: something happened to the target where it was to be started, so that its claim was worth nothing
        directly before the start.  All members are asked again, and an order stands on what they say then.
        """
        progress = self._progress
        progress.last = Objection(Reason.NOT_STARTED, f"the claim on {answer.sender} broke before the start")
        del progress.orders[answer.sender]
        self._cleared = None
        progress.rounds.begin_again()
        # Where it breaks again and again, the guards' renewal sets the pace.
        asked = self._ask_all(now) if now - self._claimed_at >= RENEW else []
        self._claimed_at = now
        return asked + self._advance(now)

    def _order(self, now: float) -> Effects:
        """Once: the order that is sent again for want of an answer is the same one, which its receiver knows (S7)."""
        progress = self._progress
        order = progress.orders.get(self._place) if self._place else None
        if self._place is None or self._is_dead(self._place) or (order is not None and now - order.sent_at < RENEW):
            return []
        if order is None and not self._may_order(self._place, now):
            return []
        progress.orders.setdefault(self._place, Ordered(now)).sent_at = now
        return [Send(self._start(self._place, self._serial, now))]

    def _is_dead(self, place: HostId) -> bool:
        """S13, S15: a proof stands for a host's denial and no more.  Whether its VM is to go on elsewhere is for people
        or their manager to say: the host may come back with it.
        """
        dead = next((word for word in self._standing() if word.host == place), None)
        if dead is not None:
            others = ", ".join(sorted({record.host for record in self.matter.found} - {place}))
            alone = "no other host has it: define and start it on one"
            advice = f"{others} has it too: start it there" if others else alone
            text = f"{place}, where it would be started, is dead ({dead.sight.detail}); {advice} by hand"
            self._progress.objection = Objection(Reason.NOT_STARTED, text)
        return dead is not None

    def _may_order(self, place: HostId, now: float) -> bool:
        inquiry, word = self._inquiry(now), self._progress.rounds.word(place)
        if word is None or denial.missing(inquiry) is not None or not self._permitted():
            return False
        self._cleared, self._serial = inquiry, word.serial
        return True

    def _start(self, host: HostId, serial: str, now: float) -> Start:
        matter, request = self.matter, self.matter.request
        return Start(
            self._me,
            self._incarnation,
            host,
            request.id,
            matter.identity,
            matter.vm,
            serial,
            request.source,
            matter.cluster,
            request.target,
            request.via,
            self._quote(host, now),
        )

    def _evidence(self, now: float) -> Evidence:
        evidence = super()._evidence(now)
        running = [word for word in self._claims() if word.sight.state in verdict.ALIVE]
        seen = tuple(self._running(word) for word in running)
        return replace(evidence, observations=evidence.observations + seen, inquiry=self._cleared or evidence.inquiry)

    def _running(self, word: Word) -> Observation:
        """Where it was ordered to start, it is the start that shows itself before it is answered: all had denied it."""
        seen = verdict.seen_running(word, self.matter.vm)
        return replace(seen, was=VmState.OFF) if word.host in self._progress.orders else seen

    def _is_enough(self, evidence: Evidence, now: float) -> bool:
        """That a host is dead (S13) says nothing of a start."""
        return any(seen.proof is not Proof.HOST_FENCED for seen in evidence.observations)


def _is_only_saved(sight: Sight) -> bool:
    return sight.state is VmState.SAVED and not sight.in_flight
