"""Decides what one host does for requests that others (or it itself) coordinate: guards, looks, kills, starts.  Pure.

The owner's state machine of design 5: each command is checked for freshness, duplicates, policy and its source's
fate; one action at a time for a VM; what was done is on the disk before it is answered.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fencebus_host.effects import Boot, Deed, Effects, Job, Keep, Kill, Look, Send
from fencebus_host.federation import rules
from fencebus_host.federation.guards import Guards
from fencebus_host.federation.tokens import Fresh, Tokens
from fencebus_host.permission import refused
from fencebus_schemas.model import HostId, Incarnation, Life, Observation, Reason, RequestId, Sight, Uuid, VmState
from fencebus_schemas.peer import (
    Fence,
    FenceAnswer,
    Forgotten,
    Guard,
    GuardAnswer,
    Lift,
    Start,
    StartAnswer,
)

REMEMBERED = 120.0
"""Seconds for which a deed answers the same request again (S7); no request has more patience."""

UNASKED = -1.0
"""The stamp of a report that nobody asked for."""

Order = Fence | Start


@dataclass(frozen=True, slots=True)
class Refusal:
    """An act that was not done, or that nobody can vouch for."""

    reason: Reason
    text: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a member asks of its host's other machines; answers come at once and from memory."""

    permits: Callable[[Order], bool]
    """S6: this host's own policy."""
    hosts: Callable[[Uuid], bool]
    """A guest lives here, as far as is known."""
    members_digest: Callable[[], str]
    member_list: Callable[[], tuple[HostId, ...]]
    forgotten: Callable[[], tuple[Forgotten, ...]]
    draw: Callable[[], str]
    """A random word that nobody can guess."""
    obeys: bool = True
    """False in a dry run: nothing is carried out, whoever orders it."""


@dataclass(slots=True)
class _Task:
    """An order that was accepted, and whoever waits for its answer."""

    order: Order
    fresh: Fresh
    begin_by: float
    askers: list[tuple[HostId, RequestId]]
    done: Deed | None = None
    """What was done for the very same request before."""
    begun: bool = False
    follows_an_act: bool = False
    """It had to wait for its turn, and what was done in between had begun."""


class Member:
    """One host's part in the fences of all."""

    def __init__(
        self, me: HostId, incarnation: Incarnation, around: Surroundings, tokens: Tokens, started_at: float
    ) -> None:
        self._me, self._incarnation, self._around, self._tokens = me, incarnation, around, tokens
        self._started_at = started_at
        self._guards = Guards(around.draw, rules.LEASE)
        self._jobs: dict[Job, Callable[..., Effects]] = {}
        self._acts: dict[Job, _Task] = {}
        self._next_job = 0
        self._tasks: dict[str, _Task] = {}
        self._lanes: dict[Uuid, deque[_Task]] = {}
        self._deeds: dict[str, tuple[float, Deed]] = {}
        self._condemned: dict[Uuid, float] = {}
        self._appeared: dict[Uuid, float] = {}
        self._marks: dict[Uuid, str] = {}

    def remember(self, deeds: Iterable[Deed]) -> None:
        """Take up what the disk says was done here, by an earlier incarnation."""
        self._deeds.update({_key(deed.identity, deed.boot): (self._started_at + REMEMBERED, deed) for deed in deeds})

    # -- commands ----------

    def guard(self, message: Guard, now: float) -> Effects:
        """Set or renew a guard, and look."""
        fresh = self._tokens.accept(message.quote, now)
        if fresh is None:
            return [self._guard_answer(message, None, now, refusal=Reason.STALE_COMMAND)]
        refusal = rules.s16_source_is_condemned(message.source, self._condemned_now(now))
        if refusal:
            return [self._guard_answer(message, None, now, refusal=refusal)]
        held = self._guards.install(message, min(now + rules.LEASE, fresh.until), now)
        if held is None:
            return [self._guard_answer(message, None, now, refusal=Reason.NOT_STARTED)]
        serial = held.serial

        def looked(sight: Sight, then: float) -> Effects:
            stood = self._guards.serial(message.request, message.vm, then) == serial
            return [self._guard_answer(message, sight, then, serial if stood else "", fresh)]

        return [self._look(message.vm, looked)]

    def fence(self, message: Fence, now: float) -> Effects:
        """End a life here, if everything that must hold holds."""
        return self._ordered(message, now, min(message.begin, rules.LEASE))

    def start(self, message: Start, now: float) -> Effects:
        """Boot a VM here, under the exclusive claim that was granted for it (S15)."""
        return self._ordered(message, now, rules.LEASE)

    def lift(self, message: Lift) -> Effects:
        """The verdict is given."""
        self._guards.lift(message.request, message.vm)
        return []

    # -- what happens here ----------

    def changed(self, vm: Uuid, now: float) -> Effects:
        """The hypervisor reports an event of the VM: no guard on it is unbroken, and what turned up is reported."""
        self._guards.touched(vm)
        if not self._around.hosts(vm):
            self._appeared[vm] = now
        guards = self._guards.on(vm, now)

        def looked(sight: Sight, then: float) -> Effects:
            self._note_life(sight, then)
            return [
                self._report(held.coordinator, held.request, held.round, sight, then)
                for held in guards
                if sight.state.is_claim or sight.in_flight
            ]

        return [self._look(vm, looked)]

    def expire(self, now: float) -> None:
        """Forget what is over."""
        self._guards.expire(now)
        for identity in [identity for identity, (until, _) in self._deeds.items() if now >= until]:
            del self._deeds[identity]
        for vm in [vm for vm, until in self._condemned.items() if now >= until]:
            del self._condemned[vm]

    # -- answers of the world ----------

    def looked(self, job: Job, sight: Sight, now: float) -> Effects:
        """A look is complete."""
        return self._jobs.pop(job)(sight, now)

    def permit(self, job: Job, life: Life | None, now: float) -> Reason | None:
        """Directly before an act, in the thread that acts: why it must not be done, if it must not."""
        task = self._acts.get(job)
        if task is None:
            return Reason.DEADLINE
        order = task.order
        refusal = rules.s12_in_time(now, task.begin_by, task.fresh.until)
        refusal = refusal or rules.s16_source_is_condemned(order.source.vm, self._condemned_now(now))
        if refusal is None and isinstance(order, Start):
            granted = self._guards.serial(order.request, order.vm, now)
            refusal = rules.s15_claim_stands(order.serial, granted)
        elif refusal is None and isinstance(order, Fence) and life is not None:
            old = rules.s12_is_old(life, task.fresh, self._there_since(order.vm), order.lives)
            refusal = None if old else Reason.YOUNGER_LIFE
        task.begun = task.begun or refusal is None
        return refusal

    def acted(self, job: Job, result: Observation | Refusal, now: float) -> Effects:
        """A kill or a start is over: what it changed is written down before it is answered (S4)."""
        task = self._acts.pop(job)
        self._guards.touched(task.order.vm)
        done = _stands(task.done, result)
        if done is not None:
            return self._finished(task, done, now)
        if isinstance(result, Refusal):
            refused = Deed(task.order.identity, task.order.request, None, result.reason, result.text)
            return self._finished(task, refused, now)
        order, boot = task.order, isinstance(task.order, Start)
        deed = Deed(order.identity, order.request, result, boot=boot)
        kept = self._job(lambda ok, then: self._written(task, deed, ok, then))
        return [Keep(kept, deed)]

    def kept(self, job: Job, ok: bool, now: float) -> Effects:
        """A record is on the disk, or cannot be."""
        return self._jobs.pop(job)(ok, now)

    # -- an order's course ----------

    def _ordered(self, order: Order, now: float, begin: float) -> Effects:
        fresh = self._tokens.accept(order.quote, now)
        if fresh is None:
            return [self._refuse(order, Reason.STALE_COMMAND, now)]
        if not self._around.obeys:  # nor is a deed of before attested: whether the VM is back since is not looked at
            return [self._refuse(order, Reason.PAUSED, now, f"{self._me}: {refused(Reason.PAUSED).text}")]
        key = _key(order.identity, isinstance(order, Start))
        deed = self._done(key, now)
        if deed is not None and isinstance(order, Start):
            return [self._told(order.sender, order.request, deed, True, now)]
        if key in self._tasks:
            self._tasks[key].askers.append((order.sender, order.request))
            return []
        refusal = self._objection(order, now)
        if refusal:  # nor then is a deed of before attested, for the same reason
            return [self._refuse(order, refusal, now)]
        begin_by = fresh.requested_at + order.quote.age + begin
        return self._enter(key, _Task(order, fresh, begin_by, [(order.sender, order.request)], deed), now)

    def _done(self, key: str, now: float) -> Deed | None:
        until, deed = self._deeds.get(key, (0.0, None))
        return deed if now < until else None

    def _objection(self, order: Order, now: float) -> Reason | None:
        if not self._around.permits(order):
            return Reason.DENIED
        refusal = rules.s16_source_is_condemned(order.source.vm, self._condemned_now(now))
        if refusal or isinstance(order, Start):
            return refusal
        rivals = self._guards.asked_by(order.vm, now)
        refusal = rules.s16_loses_the_tie(order.request, order, rivals)
        return refusal or rules.s16_knows_its_guests(order, now, self._started_at, self._appeared.get(order.vm))

    def _enter(self, key: str, task: _Task, now: float) -> Effects:
        self._tasks[key] = task
        vm = task.order.vm
        if isinstance(task.order, Fence):
            self._condemned[vm] = math.inf
        lane = self._lanes.setdefault(vm, deque())
        lane.append(task)
        return self._act(task) if len(lane) == 1 else []

    def _act(self, task: _Task) -> Effects:
        job = self._number()
        self._acts[job] = task
        kind = Kill if isinstance(task.order, Fence) else Boot
        return [kind(job, task.order.vm, task.fresh.until)]

    def _written(self, task: _Task, deed: Deed, ok: bool, now: float) -> Effects:
        if not ok:
            text = "what was done could not be written to the disk"
            deed = replace(deed, observation=None, refusal=Reason.NOT_RECORDED, text=text)
        return self._finished(task, deed, now)

    def _finished(self, task: _Task, deed: Deed, now: float) -> Effects:
        order, boot = task.order, isinstance(task.order, Start)
        key = _key(order.identity, boot)
        del self._tasks[key]
        if deed.observation is not None:
            self._deeds[key] = (now + REMEMBERED, deed)
        effects: Effects = [self._told(host, request, deed, boot, now) for host, request in task.askers]
        lane = self._lanes[order.vm]
        lane.popleft()
        acted = task.begun or task.follows_an_act
        if lane:
            lane[0].follows_an_act = acted
            return effects + self._act(lane[0])
        del self._lanes[order.vm]
        self._pardon(order.vm, acted, now)
        return effects

    def _pardon(self, vm: Uuid, begun: bool, now: float) -> None:
        """S16: what the VM had asked for before its end is unknown everywhere once the last lease on it is over."""
        if vm in self._condemned and begun:
            self._condemned[vm] = now + rules.LEASE
        else:
            self._condemned.pop(vm, None)

    # -- words ----------

    def _look(self, vm: Uuid, then: Callable[[Sight, float], Effects]) -> Look:
        return Look(self._job(lambda sight, now: then(self._seen(sight), now)), vm)

    def _seen(self, sight: Sight) -> Sight:
        """While an action is under way here, what is seen of the VM is not yet the truth about it."""
        if sight.vm not in self._lanes:
            return sight
        if sight.state.is_claim:
            return sight
        return replace(sight, state=VmState.UNKNOWN, in_flight=True, detail="an action on it is under way here")

    def _note_life(self, sight: Sight, now: float) -> None:
        mark = sight.life.mark if sight.life is not None else ""
        if mark and self._marks.get(sight.vm) != mark:
            self._appeared[sight.vm] = now
        if mark:
            self._marks[sight.vm] = mark
        else:
            self._marks.pop(sight.vm, None)

    def _guard_answer(
        self,
        message: Guard,
        sight: Sight | None,
        now: float,
        serial: str = "",
        fresh: Fresh | None = None,
        refusal: Reason | None = None,
    ) -> Send:
        same = message.members == self._around.members_digest()
        life, since = sight.life if sight else None, self._there_since(message.vm)
        return Send(
            GuardAnswer(
                self._me,
                self._incarnation,
                message.sender,
                message.request,
                message.round,
                message.stamp,
                self._tokens.newest(now) if refusal is not Reason.STALE_COMMAND else self._tokens.fresh(now),
                serial,
                sight,
                refusal,
                is_old=fresh is not None and rules.s12_is_old(life, fresh, since),
                source_here=fresh is not None and message.source is not None and self._asks(message.source, fresh),
                members=() if same else self._around.member_list(),
                forgotten=() if same else self._around.forgotten(),
            )
        )

    def _asks(self, source: Uuid, fresh: Fresh) -> bool:
        return self._around.hosts(source) and rules.s16_asked_by_the_life_here(fresh, self._there_since(source))

    def _there_since(self, vm: Uuid) -> float:
        """When whatever of the VM is here now was first seen here: a saved image, say, that tells no birth."""
        return self._appeared.get(vm, self._started_at)

    def _report(self, coordinator: HostId, request: RequestId, round_: int, sight: Sight, now: float) -> Send:
        token = self._tokens.newest(now)
        return Send(GuardAnswer(self._me, self._incarnation, coordinator, request, round_, UNASKED, token, "", sight))

    def _refuse(self, order: Order, reason: Reason, now: float, text: str = "") -> Send:
        deed = Deed(order.identity, order.request, None, reason, text)
        return self._told(order.sender, order.request, deed, isinstance(order, Start), now)

    def _told(self, to: HostId, request: RequestId, deed: Deed, boot: bool, now: float) -> Send:
        kind = StartAnswer if boot else FenceAnswer
        token = self._tokens.newest(now) if deed.refusal is None else self._tokens.fresh(now)
        return Send(kind(self._me, self._incarnation, to, request, token, deed.observation, deed.refusal, deed.text))

    # -- jobs ----------

    def _condemned_now(self, now: float) -> set[Uuid]:
        # A copy in one step: a permit is asked in the thread that acts, while the loop's thread goes on.
        return {vm for vm, until in tuple(self._condemned.items()) if now < until}

    def _number(self) -> Job:
        self._next_job += 1
        return Job(self._next_job)

    def _job(self, then: Callable[..., Effects]) -> Job:
        job = self._number()
        self._jobs[job] = then
        return job


def _stands(done: Deed | None, result: Observation | Refusal) -> Deed | None:
    """S7, S14: what was done for a request answers it again, but only once it was seen that no old life is here: one
    that has turned up since is to be ended too.
    """
    if done is None or done.observation is None or done.observation.ended is None:
        return None
    nothing_here = isinstance(result, Refusal) or (result.state is VmState.OFF and result.ended is None)
    return done if nothing_here else None


def _key(identity: str, boot: bool) -> str:
    return f"{identity}/{'start' if boot else 'fence'}"
