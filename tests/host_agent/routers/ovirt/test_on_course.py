"""The course of an on: one start, or none, and never an old memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt.answers import Trouble
from fencebus_host.routers.ovirt.on_course import On
from fencebus_host.routers.ovirt.states import STATES, Conclusion, conclusion
from fencebus_host.routers.ovirt.steps import Start, Stop
from fencebus_schemas.model import VmState
from tests.host_agent.routers.ovirt.scripts import Play, error, until

PATIENCE = 10.0
FOR_CERTAIN = (Trouble.CONFLICT, Trouble.REFUSED)


def test_a_vm_that_is_down_is_started_and_looked_at_until_it_runs() -> None:
    play = Play(until(2.0, "down", "powering_up"))
    ending = play.run(On(PATIENCE))
    assert (ending.state, ending.was, play.count(Start)) == (VmState.RUNNING, VmState.OFF, 1)
    assert ending.seen_at >= 2.0


def test_a_launch_is_waited_for_and_one_that_ends_down_again_has_failed_at_once() -> None:
    launched = Play(lambda now: "down" if now < 1 else "wait_for_launch" if now < 3 else "up")
    assert launched.run(On(PATIENCE)).seen_at >= 3.0
    failed = Play(lambda now: "wait_for_launch" if 1 < now < 3 else "down")
    assert failed.run(On(PATIENCE)).state is VmState.UNKNOWN
    assert (failed.count(Start), failed.now < 5.0) == (1, True)
    stuck = Play(lambda now: "down" if now < 1 else "wait_for_launch")
    ending = stuck.run(On(PATIENCE))
    assert ending.state is VmState.UNKNOWN
    assert "last reported vm wait_for_launch" in ending.detail


@pytest.mark.parametrize(("state", "found"), (("up", VmState.RUNNING), ("paused", VmState.PAUSED)))
def test_a_vm_that_runs_is_left_alone(state: str, found: VmState) -> None:
    play = Play(lambda _now: state)
    ending = play.run(On(PATIENCE))
    assert (ending.state, ending.was, play.count(Start)) == (found, found, 0)


def test_a_suspended_vm_loses_its_memory_first() -> None:
    play = Play(lambda now: "suspended" if now < 1 else "down" if now < 2 else "up")
    ending = play.run(On(PATIENCE))
    assert (ending.state, ending.was) == (VmState.RUNNING, VmState.SAVED)
    assert [type(step) for step in play.steps if isinstance(step, Start | Stop)] == [Stop, Start]


@pytest.mark.parametrize("trouble", tuple(Trouble))
def test_a_start_is_repeated_only_where_it_was_refused_for_certain(trouble: Trouble) -> None:
    play = Play(lambda _now: "down", start=lambda _now: error(trouble))
    ending = play.run(On(PATIENCE))
    assert ending.state is VmState.UNKNOWN
    assert (play.count(Start) > 1) == (trouble in FOR_CERTAIN)
    assert ending.denied == (trouble is Trouble.DENIED)


@pytest.mark.parametrize("trouble", (Trouble.LOGIN, Trouble.UNTRUSTED, Trouble.DENIED))
def test_what_no_waiting_can_mend_ends_at_once(trouble: Trouble) -> None:
    play = Play(lambda _now: error(trouble))
    play.run(On(PATIENCE))
    assert play.now < 1.0


def test_a_stop_that_was_to_discard_a_memory_and_failed_is_tried_again() -> None:
    play = Play(lambda now: "suspended" if now < 3 else "down", stop=until(1.0, error(Trouble.CONFLICT), "accepted"))
    play.run(On(PATIENCE))
    assert play.count(Stop) == 3


@given(st.lists(st.tuples(st.floats(0.0, 12.0), st.sampled_from(sorted(STATES))), max_size=6))
def test_whatever_is_seen_it_is_started_once_at_most_and_only_from_down(said: list[tuple[float, str]]) -> None:
    script = [(0.0, "unknown"), *sorted(said)]
    play = Play(lambda now: [state for moment, state in script if moment <= now][-1])
    ending = play.run(On(PATIENCE))
    assert play.count(Start) <= 1
    if play.count(Start):
        assert any(conclusion(state) is Conclusion.ENDED for _, state in script)
    if ending.state is VmState.RUNNING:
        assert [state for moment, state in script if moment <= ending.seen_at][-1] not in (
            "down",
            "unknown",
            "wait_for_launch",
        )
