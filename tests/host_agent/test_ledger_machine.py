"""The ledger under any order of arrivals, departures, acts and ends: what must hold whatever happens."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fencebus_host.ledger import Admission, Identity, Ledger, Step
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Source, Uuid
from tests.host_agent.evidence import OTHER, THIRD, VM, request

MOST = 1000
PATIENCE = 10.0

vms = st.sampled_from((VM, OTHER, THIRD))
actions = st.sampled_from((Action.OFF, Action.OFF, Action.REBOOT, Action.ON))


@dataclass
class Asked:
    """What the model knows of one admitted request."""

    request: FenceRequest
    step: Step
    vm: Uuid
    there: bool = True
    sent_again: bool = False
    """Somebody sent it again, and stays."""
    observed: bool = False
    begun: bool = False
    condemned: bool = False
    leader: RequestId | None = None

    @property
    def source(self) -> Uuid | None:
        return self.request.source.vm


class LedgerMachine(RuleBasedStateMachine):
    """Each rule is something that a service, a guest or the clock does; the model is a plain list of who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ledger = Ledger(lambda: self.now, MOST)
        self.live: dict[RequestId, Asked] = {}
        self.ran: dict[Identity, float] = {}
        self.shots: list[tuple[Uuid | None, Uuid, float]] = []
        """Kills that have begun: by whom, of whom, and when the request had been admitted."""
        self.admitted_at: dict[RequestId, int] = {}
        self.ended_at: dict[RequestId, int] = {}
        self.begun: list[Asked] = []
        self.killed_at: dict[Uuid, float] = {}
        """When the last kill of each VM was over."""
        self.moment = 0

    # -- what happens ----------

    @rule(action=actions, source=st.none() | vms, vm=vms, seqno=st.integers(0, 2))
    def a_request_arrives(self, action: Action, source: Uuid | None, vm: Uuid, seqno: int) -> None:
        self.moment += 1
        deadline = Deadline(self.now + PATIENCE, lambda: self.now)
        asks = Source(source or "192.0.2.1", source)
        asked = request(action, vm, source=asks, deadline=deadline, received_at=self.now, seqno=seqno)
        known = self.ledger.recall(asked, lambda: True)
        if known is not None:
            self.check_recalled(asked, known)
            return
        admission = self.ledger.admit(asked, vm, lambda: self.live[asked.id].there)
        assert self.ran.get(asked.identity, -1.0) <= self.now, "the same request ran twice within its patience"
        if admission.step is Step.REFUSED:
            shot = any(each.vm == source and each.request.action.kills for each in self.live.values())
            assert shot or (source is not None and self.killed_at.get(source, -1.0) >= asked.received_at)
            return
        self.live[asked.id] = Asked(asked, admission.step, vm)
        self.admitted_at[asked.id] = self.moment
        self.check_told(asked.id, admission)
        if action.kills:
            for each in self.live.values():
                if each.source == vm and each.vm != vm:
                    each.condemned = True

    def check_recalled(self, asked: FenceRequest, known: Admission) -> None:
        if known.step is Step.SAME:
            assert known.leader is not None
            assert self.live[known.leader].request.identity == asked.identity
            self.live[known.leader].sent_again = True
        else:
            assert known.step is Step.REMEMBERED
            assert self.ran[asked.identity] > self.now, "an outcome was remembered past its patience"

    def check_told(self, name: RequestId, admission: Admission) -> None:
        asked = self.live[name]
        asked.step = admission.step
        if admission.step is Step.RUN:
            self.ran[asked.request.identity] = asked.request.deadline.at
        if admission.step is Step.JOIN:
            assert admission.leader is not None
            leader = self.live[admission.leader]
            assert leader.step is Step.RUN
            assert leader.vm == asked.vm
            assert not leader.observed, "joined after an observation"
            asked.leader = admission.leader
            self.ran[asked.request.identity] = asked.request.deadline.at
        if admission.step is Step.REFUSED:
            assert asked.condemned

    def of_step(self, step: Step) -> list[RequestId]:
        return [name for name, each in self.live.items() if each.step is step]

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def a_requester_leaves(self, data: st.DataObject) -> None:
        self.live[data.draw(st.sampled_from(sorted(self.live)))].there = False

    @precondition(lambda self: self.of_step(Step.RUN))
    @rule(data=st.data())
    def an_act_is_about_to_begin(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.of_step(Step.RUN)))
        leader = self.live[name]
        wanted, condemned = self.ledger.begin(name)
        for_whom = [each for each in (leader, *self.followers(name)) if not each.condemned]
        if leader.begun:
            return
        assert condemned == (not for_whom), "a condemned request began, or one that is not was refused"
        if not condemned:
            assert wanted == any(each.there or each.sent_again for each in for_whom)
        if wanted and not condemned:
            leader.begun = True
            self.check_nobody_was_shot_back(leader, for_whom)

    def followers(self, leader: RequestId) -> list[Asked]:
        return [each for each in self.live.values() if each.leader == leader]

    def check_nobody_was_shot_back(self, leader: Asked, for_whom: list[Asked]) -> None:
        if not leader.request.action.kills:
            return
        for shooter in for_whom:
            for other in self.begun:
                overlap = self.ended_at.get(other.request.id, self.moment + 1) > self.admitted_at[shooter.request.id]
                mutual = other.source == leader.vm and other.vm == shooter.source and other.source != other.vm
                assert not (overlap and mutual), "two VMs that shot each other have both begun"
        self.begun += for_whom

    @precondition(lambda self: self.of_step(Step.RUN))
    @rule(data=st.data())
    def an_observation_is_taken(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.of_step(Step.RUN)))
        self.ledger.observed(name)
        self.live[name].observed = True

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def a_request_ends(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.live))))

    def end(self, name: RequestId) -> None:
        self.moment += 1
        asked = self.live.pop(name)
        self.ran[asked.request.identity] = asked.request.deadline.at
        self.ended_at[name] = self.moment
        if asked.begun and asked.request.action.kills:
            self.killed_at[asked.vm] = self.now
        told = self.ledger.finish(FenceOutcome(name, False, Reason.NOT_PROVEN))
        waiting = [each for each in self.of_step(Step.WAIT) if self.live[each].vm == asked.vm]
        expected = waiting if asked.step is Step.RUN else []
        assert [waiter for waiter, _ in told] == expected, "one that waited was not told, or not in its order"
        for waiter, admission in told:
            self.check_told(waiter, admission)

    @rule(seconds=st.sampled_from((0.5, PATIENCE / 2, PATIENCE)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # -- what must hold ----------

    @invariant()
    def at_most_one_runs_for_each_target(self) -> None:
        running = [self.live[name].vm for name in self.of_step(Step.RUN)]
        assert len(running) == len(set(running))

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        running = {self.live[name].vm for name in self.of_step(Step.RUN)}
        assert all(self.live[name].vm in running for name in self.of_step(Step.WAIT))

    @invariant()
    def nothing_is_kept_of_what_has_ended_but_its_outcome(self) -> None:
        assert len(self.ledger) == len(self.live)
        assert len(self.ledger._finished) <= MOST
        assert len(self.ledger._same) <= len(self.live)
        assert len(self.ledger._lanes) <= len(self.of_step(Step.RUN))

    def teardown(self) -> None:
        """Everybody is told something in the end, and nothing is left."""
        while self.live:
            ready = [name for name, each in self.live.items() if each.step is not Step.WAIT]
            assert ready, "somebody waits for ever"
            self.end(ready[0])
        assert len(self.ledger) == len(self.ledger._lanes) == len(self.ledger._same) == 0


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
