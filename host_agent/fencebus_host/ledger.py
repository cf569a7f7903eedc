"""Decides what becomes of a request beside the others: run, join, wait its turn, be answered from memory, be refused.
Pure.

One power action at a time per target; the same request twice is one request (S7); a request dies with its source
(S16).  The ledger awaits nothing and starts nothing: the service asks it and obeys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Uuid

Wanted = Callable[[], bool]
"""Whether a requester is still there to hear the answer (S12)."""

Identity = tuple[str, int, bytes, str, Action]

MOST_REMEMBERED = 4096
"""Finished requests kept for their retransmissions; the oldest go first."""


class Step(Enum):
    """What a request is told."""

    RUN = "run"
    """Its turn: act."""
    JOIN = "join"
    """Draw a verdict from what ``leader`` brings."""
    SAME = "same"
    """It is ``leader``, sent again: its outcome is this one's."""
    WAIT = "wait"
    """Another action on the target is under way; a later ``finish`` says what to do."""
    REMEMBERED = "remembered"
    """Here is ``outcome``."""
    REFUSED = "refused"
    """Not at all, for ``reason``."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The ledger's answer to a request."""

    step: Step
    leader: RequestId | None = None
    outcome: FenceOutcome | None = None
    reason: Reason | None = None


Told = list[tuple[RequestId, Admission]]
"""Requests that waited, and what they are to do now."""


@dataclass(slots=True)
class _Entry:
    request: FenceRequest
    vm: Uuid
    wanted: list[Wanted]
    alone: bool
    """What it brings counts for it alone."""
    followers: list[_Entry] = field(default_factory=list)
    observed: bool = False
    begun: bool = False
    condemned: bool = False
    start_cancelled: bool = False

    def askers(self) -> list[_Entry]:
        """All on whose behalf this one acts, save those whose source is being fenced."""
        return [entry for entry in (self, *self.followers) if not entry.condemned]


@dataclass(slots=True)
class _Lane:
    """What happens to one target: at most one request runs, the others wait in the order of their arrival."""

    running: _Entry
    waiting: list[_Entry] = field(default_factory=list)


class Ledger:
    """Running, waiting and finished power actions of this host.  Everything but ``begin`` belongs to the event loop's
    thread.
    """

    def __init__(self, clock: Clock = boottime, most_remembered: int = MOST_REMEMBERED) -> None:
        self._clock = clock
        self._most_remembered = most_remembered
        self._lanes: dict[Uuid, _Lane] = {}
        self._entries: dict[RequestId, _Entry] = {}
        self._same: dict[Identity, RequestId] = {}
        self._finished: dict[Identity, tuple[float, FenceOutcome]] = {}
        self._ended: dict[Uuid, float] = {}
        """When the last kill of each VM was over."""

    def __len__(self) -> int:
        """How many requests run, wait or have joined."""
        return len(self._entries)

    # -- arrival ----------

    def recall(self, request: FenceRequest, wanted: Wanted) -> Admission | None:
        """S7: the same request again is one with the first, within the patience of the first; ``None`` if it is a new
        one.
        """
        self._forget_old()
        until, outcome = self._finished.get(request.identity, (0.0, None))
        if outcome is not None and until > self._clock():
            return Admission(Step.REMEMBERED, outcome=outcome)
        first = self._same.get(request.identity)
        if first is None:
            return None
        self._entries[first].wanted.append(wanted)
        return Admission(Step.SAME, first)

    def admit(self, request: FenceRequest, vm: Uuid, wanted: Wanted, *, alone: bool = False) -> Admission:
        """Take a new power action on ``vm`` into the ledger.

        ``wanted`` tells, from any thread and at any time, whether the requester is still there.  ``alone``: nobody may
        join it, as what other hosts are asked counts for one request alone (S7).  Every admission but REFUSED is ended
        by ``finish``.
        """
        if self._is_condemned(request, vm):
            return Admission(Step.REFUSED, reason=Reason.SOURCE_FENCED)
        if request.action.kills:
            self._condemn_requests_of(vm)
        entry = _Entry(request, vm, [wanted], alone)
        self._entries[request.id] = entry
        self._same[request.identity] = request.id
        return self._place(entry)

    def _place(self, entry: _Entry) -> Admission:
        lane = self._lanes.get(entry.vm)
        if lane is None:
            self._lanes[entry.vm] = _Lane(entry)
            return Admission(Step.RUN)
        if entry.request.action is Action.OFF:
            lane.running.start_cancelled = True
        if _may_join(entry.request.action, lane.running):
            lane.running.followers.append(entry)
            return Admission(Step.JOIN, lane.running.request.id)
        lane.waiting.append(entry)
        return Admission(Step.WAIT)

    # -- progress ----------

    def begin(self, request: RequestId) -> tuple[bool, bool]:
        """Directly before an act, from the thread that acts: is it wanted, is it condemned (S12, S16)?

        Marks it as begun if it is wanted and not condemned; what has begun is not condemned any more.  A request that
        has ended meanwhile is not wanted: its thread was late (S12).
        """
        entry = self._entries.get(request)
        if entry is None:
            return False, False
        askers = entry.askers()
        condemned = not askers and not entry.begun
        wanted = any(still_there() for asker in askers or [entry] for still_there in asker.wanted)
        entry.begun = entry.begun or (wanted and not condemned)
        return wanted, condemned

    def observed(self, request: RequestId) -> None:
        """From here on an observation has been taken, so that nobody joins any more (S7)."""
        if entry := self._entries.get(request):
            entry.observed = True

    def start_is_cancelled(self, request: RequestId) -> bool:
        """S7: true if an ``off`` for the same target arrived during this one."""
        entry = self._entries.get(request)
        return entry is None or entry.start_cancelled

    def finish(self, outcome: FenceOutcome) -> Told:
        """End a request: one that ran, one that had joined, or one that would wait no longer.

        Returns what those that waited for it are to do now.
        """
        entry = self._entries.pop(outcome.request)
        if self._same.get(entry.request.identity) == outcome.request:
            del self._same[entry.request.identity]
        self.remember(entry.request, outcome)
        if entry.request.action.kills and entry.begun:
            self._ended[entry.vm] = self._clock()
        lane = self._lanes.get(entry.vm)
        if lane is not None and lane.running is entry:
            del self._lanes[entry.vm]
            return [(waiter.request.id, self._next_step(waiter)) for waiter in lane.waiting]
        if lane is not None:
            _leave(lane, entry)
        return []

    def _next_step(self, waiter: _Entry) -> Admission:
        if waiter.condemned:
            return Admission(Step.REFUSED, reason=Reason.SOURCE_FENCED)
        return self._place(waiter)

    # -- S16 ----------

    def _is_condemned(self, request: FenceRequest, target: Uuid) -> bool:
        """A source that somebody fences may begin nothing against others; against itself it always may.

        The same holds for what it asked before a kill of it was over: that was its dead life's last word.
        """
        source = request.source.vm
        if source is None or source == target:
            return False
        if self._ended.get(source, float("-inf")) >= request.received_at:
            return True
        lane = self._lanes.get(source)
        return lane is not None and any(entry.request.action.kills for entry in (lane.running, *lane.waiting))

    def _condemn_requests_of(self, vm: Uuid) -> None:
        for entry in self._entries.values():
            if entry.request.source.vm == vm and entry.vm != vm:
                entry.condemned = True

    # -- memory ----------

    def remember(self, request: FenceRequest, outcome: FenceOutcome) -> None:
        """Keep an outcome for the same request sent again (S7), until the request's deadline; ``finish`` does so by
        itself.
        """
        self._finished[request.identity] = (request.deadline.at, outcome)
        if len(self._finished) > self._most_remembered:
            del self._finished[next(iter(self._finished))]

    def _forget_old(self) -> None:
        """All requests of one listener have the same patience, so that the oldest are first, or nearly."""
        now = self._clock()
        while self._finished and next(iter(self._finished.values()))[0] <= now:
            del self._finished[next(iter(self._finished))]


def _leave(lane: _Lane, entry: _Entry) -> None:
    """S12: nobody waits any more on whose behalf a request was answered, so nothing is done on its behalf either."""
    for queue in (lane.waiting, lane.running.followers):
        if entry in queue:
            queue.remove(entry)


def _may_join(action: Action, running: _Entry) -> bool:
    """S7: only before an observation was taken, and only where the running action brings what is asked for."""
    asked = running.request.action
    brings = action is asked or (action is Action.OFF and asked is Action.REBOOT)
    return brings and not running.alone and not running.observed and bool(running.askers())
