"""Who runs, joins, waits, is answered from memory, or is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.ledger import Admission, Ledger, Step
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, RequestId, Source, Uuid
from tests.host_agent.evidence import OTHER, PATIENCE, RECEIVED, THIRD, VM, request


class World:
    """A ledger, its clock, and the short way to use it."""

    def __init__(self, most_remembered: int = 4096) -> None:
        self.now = RECEIVED
        self.ledger = Ledger(lambda: self.now, most_remembered)

    def ask(self, action: Action = Action.OFF, vm: Uuid = VM, source: Uuid | None = None) -> FenceRequest:
        """A new request that has been admitted."""
        asked = self.new(action, vm, source)
        self.admit(asked)
        return asked

    def new(self, action: Action = Action.OFF, vm: Uuid = VM, source: Uuid | None = None) -> FenceRequest:
        deadline = Deadline(self.now + PATIENCE, lambda: self.now)
        return request(action, vm, source=Source(source or "192.0.2.1", source), deadline=deadline)

    def admit(self, asked: FenceRequest, wanted: bool = True) -> Admission:
        return self.ledger.admit(asked, Uuid(asked.target), lambda: wanted)

    def finish(self, asked: FenceRequest) -> dict[RequestId, Admission]:
        return dict(self.ledger.finish(outcome_of(asked)))


def outcome_of(asked: FenceRequest) -> FenceOutcome:
    return FenceOutcome(asked.id, False, Reason.NOT_PROVEN)


@pytest.fixture
def world() -> World:
    return World()


# -- one at a time ----------


def test_a_first_request_runs(world: World) -> None:
    assert world.admit(world.new()).step is Step.RUN


def test_requests_for_different_vms_run_beside_each_other(world: World) -> None:
    world.ask()
    assert world.admit(world.new(vm=OTHER)).step is Step.RUN


def test_what_waited_is_told_in_the_order_of_its_arrival(world: World) -> None:
    first = world.ask()
    on, reboot = world.ask(Action.ON), world.ask(Action.REBOOT)
    told = world.finish(first)
    assert list(told) == [on.id, reboot.id]
    assert [admission.step for admission in told.values()] == [Step.RUN, Step.WAIT]
    assert world.finish(on)[reboot.id].step is Step.RUN


def test_one_that_stops_waiting_is_not_told_any_more(world: World) -> None:
    first, second = world.ask(), world.ask(Action.ON)
    assert world.finish(second) == {}
    assert world.finish(first) == {}
    assert len(world.ledger) == 0


# -- joining (S7) ----------


@pytest.mark.parametrize(
    ("asked", "running", "step"),
    (
        (Action.OFF, Action.OFF, Step.JOIN),
        (Action.OFF, Action.REBOOT, Step.JOIN),
        (Action.OFF, Action.ON, Step.WAIT),
        (Action.REBOOT, Action.REBOOT, Step.JOIN),
        (Action.REBOOT, Action.OFF, Step.WAIT),
        (Action.REBOOT, Action.ON, Step.WAIT),
        (Action.ON, Action.ON, Step.JOIN),
        (Action.ON, Action.OFF, Step.WAIT),
        (Action.ON, Action.REBOOT, Step.WAIT),
    ),
)
def test_s7_a_request_joins_only_what_brings_what_it_asks_for(
    world: World, asked: Action, running: Action, step: Step
) -> None:
    leader = world.ask(running)
    admission = world.admit(world.new(asked))
    assert admission.step is step
    assert admission.leader == (leader.id if step is Step.JOIN else None)


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT, Action.ON))
def test_s7_nobody_joins_once_an_observation_was_taken(world: World, action: Action) -> None:
    leader = world.ask(action)
    world.ledger.observed(leader.id)
    assert world.admit(world.new(action)).step is Step.WAIT


def test_s7_those_that_waited_join_the_first_of_them(world: World) -> None:
    leader = world.ask(Action.ON)
    first, second = world.ask(), world.ask()
    told = world.finish(leader)
    assert told[first.id].step is Step.RUN
    assert told[second.id] == Admission(Step.JOIN, first.id)


def test_s7_an_off_during_a_reboot_cancels_its_start(world: World) -> None:
    reboot = world.ask(Action.REBOOT)
    assert not world.ledger.start_is_cancelled(reboot.id)
    world.ask(Action.OFF)
    assert world.ledger.start_is_cancelled(reboot.id)


def test_s7_an_off_after_the_kill_of_a_reboot_still_cancels_its_start(world: World) -> None:
    reboot = world.ask(Action.REBOOT)
    world.ledger.observed(reboot.id)
    world.ask(Action.OFF)
    assert world.ledger.start_is_cancelled(reboot.id)


def test_a_start_of_which_nobody_knows_any_more_is_cancelled(world: World) -> None:
    assert world.ledger.start_is_cancelled(RequestId("gone"))
    world.ledger.observed(RequestId("gone"))


# -- the same request again (S7) ----------


def test_s7_the_same_request_is_one_with_the_first_while_it_runs_and_has_its_outcome_afterwards(world: World) -> None:
    first = world.ask()
    again = replace(first, id=RequestId("again"), target=VM.upper())
    assert world.ledger.recall(again, lambda: True) == Admission(Step.SAME, first.id)
    world.finish(first)
    assert world.ledger.recall(again, lambda: True) == Admission(Step.REMEMBERED, outcome=outcome_of(first))


def test_s7_an_outcome_is_forgotten_at_the_end_of_the_first_ones_patience(world: World) -> None:
    first = world.ask()
    world.finish(first)
    world.now = first.deadline.at
    assert world.ledger.recall(first, lambda: True) is None
    assert world.ledger._finished == {}


def test_s7_an_outcome_behind_one_with_more_patience_is_forgotten_in_time_too(world: World) -> None:
    patient, other = world.ask(), world.new(vm=OTHER)
    hasty = replace(other, deadline=Deadline(RECEIVED + 1, lambda: world.now))
    world.admit(hasty)
    world.finish(patient)
    world.finish(hasty)
    world.now += 1
    assert world.ledger.recall(hasty, lambda: True) is None


@pytest.mark.parametrize(
    "changed",
    (
        {"source": Source("192.0.2.99")},
        {"seqno": 999_999},
        {"random": b"differs"},
        {"target": OTHER},
        {"action": Action.REBOOT},
    ),
    ids=str,
)
def test_s7_whatever_differs_makes_another_request(world: World, changed: dict[str, object]) -> None:
    first = world.ask()
    fields = {name: getattr(first, name) for name in ("source", "seqno", "random", "target", "action")} | changed
    other = FenceRequest(
        id=RequestId("other"), via="tcp", deadline=first.deadline, received_at=first.received_at, **fields
    )
    assert world.ledger.recall(other, lambda: True) is None


def test_s7_a_refusal_is_remembered_like_any_outcome(world: World) -> None:
    refused = world.new()
    world.ledger.remember(refused, outcome_of(refused))
    again = world.ledger.recall(refused, lambda: True)
    assert again is not None
    assert again.step is Step.REMEMBERED


def test_of_very_many_outcomes_the_oldest_are_forgotten() -> None:
    world = World(most_remembered=3)
    asked = [world.ask() for _ in range(1)]
    for _ in range(4):
        world.finish(asked[-1])
        asked.append(world.ask())
    kept = [one for one in asked[:-1] if world.ledger.recall(one, lambda: True)]
    assert kept == asked[1:-1]


def test_two_requests_that_slipped_in_with_one_identity_leave_no_trace(world: World) -> None:
    first = world.ask()
    second = replace(first, id=RequestId("second"))
    world.admit(second)
    world.finish(first)
    assert world.ledger.recall(first, lambda: True) is not None
    world.finish(second)
    world.now += PATIENCE
    assert world.ledger.recall(first, lambda: True) is None


def test_s7_nobody_joins_what_counts_for_one_request_alone_and_each_that_waits_runs_in_its_turn(world: World) -> None:
    first, second, third = (world.new() for _ in range(3))
    steps = [world.ledger.admit(each, VM, lambda: True, alone=True).step for each in (first, second, third)]
    assert steps == [Step.RUN, Step.WAIT, Step.WAIT]
    assert [each.step for each in world.finish(first).values()] == [Step.RUN, Step.WAIT]
    assert [each.step for each in world.finish(second).values()] == [Step.RUN]


def test_s12_nobody_who_waits_keeps_alive_what_he_may_not_join(world: World) -> None:
    first, second = world.new(), world.new()
    world.ledger.admit(first, VM, lambda: False, alone=True)
    world.ledger.admit(second, VM, lambda: True, alone=True)
    assert world.ledger.begin(first.id) == (False, False)


# -- directly before the act (S12) ----------


def test_s12_a_request_is_wanted_while_anybody_who_sent_it_is_there(world: World) -> None:
    first = world.new()
    world.admit(first, wanted=False)
    assert world.ledger.begin(first.id) == (False, False)
    world.ledger.recall(first, lambda: True)
    assert world.ledger.begin(first.id) == (True, False)


def test_s12_a_request_is_wanted_while_anybody_who_joined_is_there(world: World) -> None:
    first, second = world.new(), world.new()
    world.admit(first, wanted=False)
    world.admit(second)
    assert world.ledger.begin(first.id) == (True, False)


def test_s12_nothing_is_done_for_one_who_joined_and_was_answered_meanwhile(world: World) -> None:
    first, second = world.new(), world.new()
    world.admit(first, wanted=False)
    world.admit(second)
    world.finish(second)
    assert world.ledger.begin(first.id) == (False, False)


def test_s12_a_request_that_has_ended_is_not_wanted(world: World) -> None:
    asked = world.ask()
    world.finish(asked)
    assert world.ledger.begin(asked.id) == (False, False)


# -- a request dies with its source (S16) ----------


def test_s16_of_two_vms_that_shoot_each_other_the_second_is_refused(world: World) -> None:
    first = world.ask(vm=OTHER, source=VM)
    assert world.admit(world.new(vm=VM, source=OTHER)) == Admission(Step.REFUSED, reason=Reason.SOURCE_FENCED)
    assert world.ledger.begin(first.id) == (True, False)


def test_what_a_source_asked_before_its_kill_was_over_is_refused_afterwards_too(world: World) -> None:
    last_word = world.new(vm=VM, source=OTHER)
    kill = world.ask(vm=OTHER)
    world.ledger.begin(kill.id)
    world.now += 1
    world.finish(kill)
    assert world.admit(last_word) == Admission(Step.REFUSED, reason=Reason.SOURCE_FENCED)


def test_what_a_source_asked_in_the_instant_in_which_its_kill_was_over_is_refused_too(world: World) -> None:
    kill = world.ask(vm=OTHER)
    world.ledger.begin(kill.id)
    world.finish(kill)
    assert world.admit(world.new(vm=VM, source=OTHER)).step is Step.REFUSED


def test_what_a_source_asks_after_a_kill_of_it_that_never_began_is_carried_out(world: World) -> None:
    asked = world.new(vm=VM, source=OTHER)
    world.finish(world.ask(vm=OTHER))
    assert world.admit(asked).step is Step.RUN


def test_s16_a_waiting_fence_of_the_source_is_enough_to_refuse(world: World) -> None:
    world.ask(Action.ON, vm=OTHER)
    world.ask(Action.OFF, vm=OTHER, source=VM)
    assert world.admit(world.new(vm=VM, source=OTHER)).step is Step.REFUSED


def test_s16_a_start_of_the_source_is_no_fence(world: World) -> None:
    world.ask(Action.ON, vm=OTHER)
    assert world.admit(world.new(vm=VM, source=OTHER)).step is Step.RUN


def test_s16_a_fence_of_the_source_condemns_what_has_not_begun(world: World) -> None:
    asked = world.ask(vm=OTHER, source=VM)
    world.ask(vm=VM, source=THIRD)
    assert world.ledger.begin(asked.id)[1]


def test_s16_what_nobody_wants_any_more_has_not_begun_and_is_condemned_still(world: World) -> None:
    asked = world.new(vm=OTHER, source=VM)
    world.admit(asked, wanted=False)
    assert world.ledger.begin(asked.id) == (False, False)
    world.ask(vm=VM, source=THIRD)
    assert world.ledger.begin(asked.id) == (False, True)


def test_s16_what_has_begun_is_not_condemned_any_more(world: World) -> None:
    asked = world.ask(Action.REBOOT, vm=OTHER, source=VM)
    assert world.ledger.begin(asked.id) == (True, False)
    world.ask(vm=VM, source=THIRD)
    assert world.ledger.begin(asked.id) == (True, False)


def test_s16_a_condemned_request_that_waits_is_refused_at_its_turn(world: World) -> None:
    first = world.ask(Action.ON, vm=OTHER)
    waiting = world.ask(vm=OTHER, source=VM)
    world.ask(vm=VM, source=THIRD)
    assert world.finish(first)[waiting.id] == Admission(Step.REFUSED, reason=Reason.SOURCE_FENCED)


def test_s16_a_condemned_leader_acts_for_those_who_joined_it(world: World) -> None:
    leader = world.ask(vm=OTHER, source=VM)
    world.ask(vm=OTHER, source=THIRD)
    world.ask(vm=VM, source=THIRD)
    assert world.ledger.begin(leader.id) == (True, False)


def test_s16_nobody_joins_a_condemned_leader(world: World) -> None:
    world.ask(vm=OTHER, source=VM)
    world.ask(vm=VM, source=THIRD)
    assert world.admit(world.new(vm=OTHER, source=THIRD)).step is Step.WAIT


def test_s16_a_vm_may_always_fence_itself(world: World) -> None:
    first = world.ask(vm=VM, source=VM)
    assert world.admit(world.new(vm=VM, source=VM)).step is Step.JOIN
    assert world.ledger.begin(first.id) == (True, False)


def test_s16_a_start_of_the_source_condemns_nothing(world: World) -> None:
    asked = world.ask(vm=OTHER, source=VM)
    world.ask(Action.ON, vm=VM, source=THIRD)
    assert world.ledger.begin(asked.id) == (True, False)
