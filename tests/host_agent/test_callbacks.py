"""Which datagrams are called back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fencebus_host.callbacks import MOST_ANSWERED, Asked, CallBacks, Step, Waiting
from fencebus_schemas.model import Action

GUEST: Waiting = ("192.0.2.1", 4000)
OFF: Asked = (Action.OFF, 1, "vm")
NEWER: Asked = (Action.OFF, 2, "vm")
PATIENCE = 25.0


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Cancelled:
    """What ends a call-back; says whether it was called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(clock: Clock) -> CallBacks:
    return CallBacks(PATIENCE, clock, most=3)


def start(calls: CallBacks, waiting: Waiting = GUEST, asked: Asked = OFF) -> Cancelled:
    assert calls.consider(waiting, asked) is Step.CALL
    cancelled = Cancelled()
    calls.begin(waiting, asked, cancelled)
    return cancelled


def test_a_first_datagram_is_called_back_and_the_same_again_is_not(calls: CallBacks) -> None:
    start(calls)
    assert calls.consider(GUEST, OFF) is Step.RETRANSMITTED


def test_what_was_answered_is_not_called_back_again_within_its_patience(calls: CallBacks, clock: Clock) -> None:
    start(calls)
    calls.end(GUEST, OFF, answered=True)
    clock.now += PATIENCE - 0.001
    assert calls.consider(GUEST, OFF) is Step.ANSWERED
    clock.now += 0.001
    assert calls.consider(GUEST, OFF) is Step.CALL


def test_what_was_not_answered_may_be_tried_again(calls: CallBacks) -> None:
    start(calls)
    calls.end(GUEST, OFF, answered=False)
    assert calls.consider(GUEST, OFF) is Step.CALL


def test_a_newer_request_from_the_same_port_ends_the_call_of_the_older(calls: CallBacks) -> None:
    older = start(calls)
    newer = start(calls, asked=NEWER)
    assert (older.times, newer.times) == (1, 0)


def test_a_call_that_was_taken_is_not_ended(calls: CallBacks) -> None:
    older = start(calls)
    calls.taken(GUEST, OFF)
    start(calls, asked=NEWER)
    assert older.times == 0


def test_taken_concerns_one_call_alone(calls: CallBacks) -> None:
    older, _newer = start(calls), start(calls, asked=NEWER)
    calls.taken(GUEST, NEWER)
    calls.consider(GUEST, (Action.OFF, 3, "vm"))
    assert older.times == 2
    calls.taken(("192.0.2.99", 1), OFF)


def test_other_ports_and_other_guests_have_calls_of_their_own(calls: CallBacks) -> None:
    first = start(calls)
    start(calls, ("192.0.2.1", 4001))
    start(calls, ("192.0.2.2", 4000))
    assert first.times == 0
    assert len(calls) == 3


def test_too_many_calls_at_once_are_refused_until_one_ends(calls: CallBacks) -> None:
    for number in range(3):
        start(calls, ("192.0.2.1", number + 1))
    assert calls.consider(("192.0.2.1", 9), OFF) is Step.CROWDED
    calls.end(("192.0.2.1", 1), OFF, answered=True)
    assert calls.consider(("192.0.2.1", 9), OFF) is Step.CALL


def test_the_end_of_one_call_leaves_the_others_of_its_port(calls: CallBacks) -> None:
    start(calls)
    calls.taken(GUEST, OFF)
    start(calls, asked=NEWER)
    calls.end(GUEST, OFF, answered=True)
    assert len(calls) == 1
    assert calls.consider(GUEST, NEWER) is Step.RETRANSMITTED


def test_an_end_that_comes_twice_counts_once(calls: CallBacks) -> None:
    start(calls)
    calls.end(GUEST, OFF, answered=False)
    calls.end(GUEST, OFF, answered=False)
    assert len(calls) == 0


def test_of_very_many_answers_the_oldest_are_forgotten(clock: Clock) -> None:
    calls = CallBacks(PATIENCE, clock)
    for waiting in some_ports(MOST_ANSWERED + 10):
        start(calls, waiting)
        calls.end(waiting, OFF, answered=True)
    assert len(calls._answered) <= MOST_ANSWERED + 1


def some_ports(count: int) -> Iterator[Waiting]:
    return (("192.0.2.1", number) for number in range(count))


class CallBackMachine(RuleBasedStateMachine):
    """Guests that ask, take calls and leave, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.calls = CallBacks(PATIENCE, self.clock, most=4)
        self.live: dict[tuple[Waiting, Asked], Cancelled] = {}
        self.answered: dict[tuple[Waiting, Asked], float] = {}

    @rule(port=st.integers(1, 3), seqno=st.integers(1, 3), pause=st.floats(0, 20))
    def a_datagram_comes(self, port: int, seqno: int, pause: float) -> None:
        self.clock.now += pause
        call = (("192.0.2.1", port), (Action.OFF, seqno, "vm"))
        step = self.calls.consider(*call)
        assert (step is Step.ANSWERED) == (self.answered.get(call, 0.0) > self.clock.now)
        if step is Step.CALL:
            assert call not in self.live
            self.live[call] = Cancelled()
            self.calls.begin(*call, self.live[call])
        if step is Step.CROWDED:
            assert len(self.live) == 4

    @precondition(lambda self: self.live)
    @rule(data=st.data(), answered=st.booleans())
    def a_call_ends(self, data: st.DataObject, answered: bool) -> None:
        call = data.draw(st.sampled_from(sorted(self.live, key=repr)))
        del self.live[call]
        self.calls.end(*call, answered)
        if answered:
            self.answered[call] = self.clock.now + PATIENCE

    @invariant()
    def every_call_is_counted_once(self) -> None:
        assert len(self.calls) == len(self.live) <= 4


CallBackMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestCallBackMachine = CallBackMachine.TestCase
