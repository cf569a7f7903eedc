"""Decides which part of a host answers what, and joins the parts into one machine: events in, effects out.  Pure.

The shell of a real host, and the simulation, call one method for each thing that happens and carry out the effects
in order.  What the host sends to itself never leaves the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from fencebus_host.effects import AskProof, Conclude, Deed, Effect, Effects, Job, Keep, Send
from fencebus_host.evidence import is_plain_end
from fencebus_host.federation.coordinator import Course, Matter
from fencebus_host.federation.fence_course import FenceCourse
from fencebus_host.federation.member import Member, Order, Refusal, Surroundings
from fencebus_host.federation.start_course import StartCourse
from fencebus_host.federation.tokens import Tokens
from fencebus_host.holdings import says
from fencebus_host.host_death import Finding
from fencebus_host.ownership import Heard, Ownership
from fencebus_schemas.model import (
    FenceOutcome,
    HostId,
    Incarnation,
    Life,
    Observation,
    Reason,
    RequestId,
    Sight,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import (
    EVERYONE,
    Announce,
    Change,
    Confirm,
    Fence,
    FenceAnswer,
    Fetch,
    Forget,
    Guard,
    GuardAnswer,
    Inventory,
    Lift,
    Message,
    Outcome,
    Start,
    StartAnswer,
)

HEARTBEAT = 5.0
"""Seconds between two announces."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a request that another host coordinated (S7)."""

    outcome: Outcome
    until: float


class Federation:
    """One host among others."""

    def __init__(
        self,
        me: HostId,
        incarnation: Incarnation,
        ownership: Ownership,
        permits: Callable[[Order], bool],
        draw: Callable[[], str],
        started_at: float,
        obeys: bool = True,
    ) -> None:
        self._me, self._incarnation, self.ownership = me, incarnation, ownership
        self._tokens = Tokens(incarnation, draw)
        around = Surroundings(
            permits,
            self._hosts,
            lambda: ownership.members_digest,
            lambda: ownership.member_list,
            lambda: ownership.forgotten,
            draw,
            obeys,
        )
        self._member = Member(me, incarnation, around, self._tokens, started_at)
        self._courses: dict[RequestId, Course] = {}
        self._settled: dict[str, Settled] = {}
        self._announced_at = float("-inf")

    def remember(self, deeds: Iterable[Deed]) -> None:
        """What the disk says was done here before this daemon started."""
        self._member.remember(deeds)

    # -- what happens ----------

    def received(self, message: Message, now: float) -> Effects:
        """The carrier brings a message; its signature was checked."""
        if message.sender == self._me and message.incarnation == self._incarnation:
            return []  # an echo of our own broadcast
        if message.to not in (self._me, EVERYONE):
            return []
        alive = self._heard(self.ownership.life_heard(message.sender))
        return self._settle(alive + self._handle(message, now), now)

    def submit_fence(self, matter: Matter, now: float) -> Effects:
        """A request that entered here wants its target ended; ends in a ``Conclude``."""
        return self._begin(FenceCourse(self._me, self._incarnation, matter, self.ownership), now)

    def submit_start(self, matter: Matter, now: float) -> Effects:
        """A request that entered here wants its target started; ends in a ``Conclude``."""
        return self._begin(StartCourse(self._me, self._incarnation, matter, self.ownership), now)

    def settled(self, identity: str, outcome: FenceOutcome, patience: float) -> Effects:
        """The verdict on a request that entered here: it spreads with the request's identity (S7)."""
        return [
            Send(
                Outcome(
                    self._me,
                    self._incarnation,
                    EVERYONE,
                    outcome.request,
                    identity,
                    outcome.ok,
                    outcome.reason,
                    outcome.text,
                    patience,
                )
            )
        ]

    def recall(self, identity: str, now: float) -> Outcome | None:
        """The outcome that another host gave to the very same request, within its patience (S7)."""
        known = self._settled.get(identity)
        return known.outcome if known is not None and now < known.until else None

    def changed(self, vm: Uuid, now: float) -> Effects:
        """The hypervisor reports an event of a VM."""
        return self._settle(self._member.changed(vm, now), now)

    def inventory(self, records: Sequence[VmRecord], now: float) -> Effects:
        """The hypervisor's whole inventory was read."""
        return self._settle(self._heard(self.ownership.own_inventory(records, now)), now)

    def vm_changed(self, record: VmRecord, gone: bool, now: float) -> Effects:
        """One VM was read again after an event; what all were told already is told to nobody again, as it would cost
        every host a message and a commit in the middle of a fence.
        """
        if not gone and self._is_told(record):
            return []
        return self._settle(self._heard(self.ownership.own_change(record, gone, now)), now)

    def vm_read(self, vm: Uuid, record: VmRecord | None, now: float) -> Effects:
        """As ``vm_changed``; ``None`` if the hypervisor does not know the VM any more."""
        if record is not None:
            return self.vm_changed(record, False, now)
        own = (known for known in self.ownership.known(vm) if known.host == self._me)
        return [effect for last in own for effect in self.vm_changed(last, True, now)]

    def forget(self, host: HostId, now: float) -> Effects:
        """An operator ends a host's membership."""
        return self._settle(self._heard(self.ownership.forget(host, now)), now)

    def confirm_dead(self, host: HostId, who: str, when: str, now: float) -> Effects:
        """An operator vouches that a host is dead (S13)."""
        return self._settle(self._heard(self.ownership.confirm_dead(host, who, when)), now)

    def looked(self, job: Job, sight: Sight, now: float) -> Effects:
        """Answers ``Look``."""
        return self._settle(self._member.looked(job, sight, now), now)

    def permit(self, job: Job, life: Life | None, now: float) -> Reason | None:
        """Directly before a kill or a start, from the thread that acts: the reason why it must not happen."""
        return self._member.permit(job, life, now)

    def acted(self, job: Job, result: Observation | Refusal, now: float) -> Effects:
        """Answers ``Kill`` and ``Boot``."""
        effects = self._member.acted(job, result, now)
        if isinstance(result, Observation) and is_plain_end(result):
            effects += self._ended(result, now)
        return self._settle(effects, now)

    def kept(self, job: Job, ok: bool, now: float) -> Effects:
        """Answers ``Keep``."""
        if job == UNWATCHED:
            return []
        return self._settle(self._member.kept(job, ok, now), now)

    def proof_seen(self, question: AskProof, finding: Finding, now: float) -> Effects:
        """Answers ``AskProof``."""
        course = self._courses.get(question.request)
        return self._settle(course.proof_seen(question, finding, now), now) if course is not None else []

    def connected(self, now: float) -> Effects:
        """The others can be reached, again or for the first time: they are told at once what is here."""
        self._announced_at = now
        announce = self.ownership.announce(self._tokens.newest(now))
        return [Send(announce), *(Send(words) for words in self.ownership.confirmed())]

    def departed(self, host: HostId) -> None:
        """The carrier knows that nobody speaks for ``host`` any more, until it is heard again."""
        self.ownership.departed(host)

    def quorum(self, stands: bool) -> None:
        """The carrier says whether this host's part of the cluster is the greater one; without a word it is."""
        self.ownership.quorate = stands

    def tick(self, now: float) -> Effects:
        """Time has passed; call it some ten times a second while ``is_busy``, else each second."""
        self._member.expire(now)
        for identity in [identity for identity, known in self._settled.items() if now >= known.until]:
            del self._settled[identity]
        effects: Effects = []
        if now - self._announced_at >= HEARTBEAT:
            effects += self.connected(now)
        for course in list(self._courses.values()):
            effects += course.tick(now)
        return self._settle(effects, now)

    @property
    def is_busy(self) -> bool:
        """A request that entered here is under way."""
        return bool(self._courses)

    # -- inside ----------

    def _hosts(self, vm: Uuid) -> bool:
        return any(record.host == self._me for record in self.ownership.claimants(vm))

    def _begin(self, course: Course, now: float) -> Effects:
        self._courses[course.matter.request.id] = course
        self.ownership.token_heard(self._me, self._incarnation, self._tokens.newest(now), now)
        return self._settle(course.begin(now), now)

    def _ended(self, seen: Observation, now: float) -> Effects:
        """What was ended here is told without another look, which would see less than the proof has."""
        known = (each for each in self.ownership.known(seen.vm) if each.host == self._me)
        here = [each for each in known if each.hypervisor == seen.hypervisor]
        over = [replace(each, state=VmState.OFF, life="") for each in here]
        return [effect for each in over for effect in self.vm_changed(each, False, now)]

    def _is_told(self, record: VmRecord) -> bool:
        # By this daemon: what it found on its disk others believe only once it has told it itself.
        own = (known for known in self.ownership.known(record.uuid) if known.host == self._me)
        return any(known.incarnation == self._incarnation and says(known) == says(record) for known in own)

    def _settle(self, effects: Effects, now: float) -> Effects:
        """Let what the host says to itself have its effect at once; the rest goes out."""
        out: Effects = []
        queue = list(effects)
        while queue:
            effect = queue.pop(0)
            if isinstance(effect, Send) and effect.message.to == self._me:
                queue += self._handle(effect.message, now)
                continue
            if isinstance(effect, Conclude):
                self._courses.pop(effect.request, None)
            out.append(effect)
        return out

    def _handle(self, message: Message, now: float) -> Effects:
        if isinstance(message, (Guard, Fence, Start, Lift)):
            return self._commanded(message, now)
        if isinstance(message, (GuardAnswer, FenceAnswer, StartAnswer)):
            return self._answered(message, now)
        if isinstance(message, Outcome):
            self._settled[message.identity] = Settled(message, now + message.patience)
            return []
        return self._told(message, now)

    def _commanded(self, message: Guard | Fence | Start | Lift, now: float) -> Effects:
        if isinstance(message, Guard):
            return self._member.guard(message, now)
        if isinstance(message, Fence):
            return self._member.fence(message, now)
        if isinstance(message, Start):
            return self._member.start(message, now)
        return self._member.lift(message)

    def _answered(self, answer: GuardAnswer | FenceAnswer | StartAnswer, now: float) -> Effects:
        self.ownership.token_heard(answer.sender, answer.incarnation, answer.token, now)
        effects: Effects = []
        if isinstance(answer, GuardAnswer) and (answer.members or answer.forgotten):
            effects = self._heard(self.ownership.members_told(answer.members, answer.forgotten, now))
        course = self._courses.get(answer.request)
        if course is None:
            return effects
        if isinstance(answer, GuardAnswer):
            return effects + course.guard_answered(answer, now)
        if isinstance(answer, FenceAnswer):
            return effects + (course.fence_answered(answer, now) if isinstance(course, FenceCourse) else [])
        return effects + (course.start_answered(answer, now) if isinstance(course, StartCourse) else [])

    def _told(self, message: Message, now: float) -> Effects:
        ownership = self.ownership
        if isinstance(message, Announce):
            return self._welcome(message, now) + self._heard(ownership.announce_heard(message, now))
        if isinstance(message, Inventory):
            return self._heard(ownership.inventory_heard(message, now))
        if isinstance(message, Change):
            return self._heard(ownership.change_heard(message, now))
        if isinstance(message, Fetch):
            return self._heard(ownership.fetch_heard(message, now))
        if isinstance(message, Forget):
            return self._heard(ownership.forget_heard(message, now))
        if isinstance(message, Confirm):
            return self._heard(ownership.confirm_heard(message, now))
        return []

    def _welcome(self, message: Announce, now: float) -> Effects:
        """Who has just begun is told at once who is here: else it would know nobody, and command nobody, for as long as
        a heartbeat takes.  An answer to it alone is not answered again.
        """
        known = self.ownership.quote(message.sender)
        is_new = known[1] != message.incarnation or not known[0]
        if message.to != EVERYONE or message.sender == self._me or not is_new:
            return []
        return [Send(replace(self.ownership.announce(self._tokens.newest(now)), to=message.sender))]

    def _heard(self, heard: Heard) -> Effects:
        effects: list[Effect] = [Keep(UNWATCHED, record) for record in heard.keep]
        return [*effects, *(Send(reply) for reply in heard.replies)]


UNWATCHED = Job(0)
"""Of a record whose being on the disk nothing waits for."""
