"""The course of an off: by examples, and by whatever a manager may say at any time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.backends import HostFencing
from fencebus_host.routers.ovirt.answers import Trouble
from fencebus_host.routers.ovirt.course import STAYS, STOP_AGAIN, Off
from fencebus_host.routers.ovirt.hostless import SETTLED
from fencebus_host.routers.ovirt.pace import Pace
from fencebus_host.routers.ovirt.states import STATES
from fencebus_host.routers.ovirt.steps import AskPower, Look, LookAtHost, RestartHost, Stop
from fencebus_schemas.model import Life, Proof, VmState
from tests.host_agent.routers.ovirt.scripts import LIFE, Answer, Play, error, until

PATIENCE = 25.0


def off(fencing: HostFencing = HostFencing.NO) -> Off:
    return Off(PATIENCE, Pace(), fencing)


def test_a_vm_that_runs_is_stopped_once_and_looked_at_until_it_is_down() -> None:
    play = Play(until(1.0, "up", "down"))
    ending = play.run(off())
    assert (ending.state, ending.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert (ending.was, ending.ended) == (VmState.RUNNING, LIFE)
    assert play.count(Stop) == 1
    assert 1.0 <= ending.seen_at < 2.0


def test_a_vm_that_is_down_needs_one_look_and_no_life_was_ended() -> None:
    play = Play(lambda _now: "down")
    ending = play.run(off())
    assert (ending.state, ending.was, ending.ended, play.count(Look)) == (VmState.OFF, VmState.OFF, None, 1)


def test_a_vm_that_goes_on_running_is_stopped_again_every_some_seconds() -> None:
    play = Play(lambda _now: "up")
    ending = play.run(off())
    assert (ending.state, ending.proof) == (VmState.RUNNING, Proof.NONE)
    assert play.count(Stop) == PATIENCE // STOP_AGAIN
    assert "accepted 5 requests to stop it" in ending.detail


@pytest.mark.parametrize("state", ("saving_state", "restoring_state"))
def test_a_busy_vm_is_not_told_to_stop_before_it_can(state: str) -> None:
    play = Play(until(3.0, state, "up"), stop=lambda now: "accepted" if now >= 3 else error(Trouble.CONFLICT))
    play.run(off())
    assert play.count(Stop) >= 1


@pytest.mark.parametrize("state", ("image_locked", ""))
def test_an_abnormal_state_has_to_last(state: str) -> None:
    ending = Play(lambda _now: state).run(off())
    assert (ending.state, ending.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert ending.seen_at >= STAYS - 0.02
    flapping = Play(lambda now: state if int(now * 4) % 2 == 0 else "up").run(off())
    assert flapping.state is not VmState.OFF


@pytest.mark.parametrize("trouble", (Trouble.CONFLICT, Trouble.REFUSED, Trouble.UNAVAILABLE, Trouble.SILENT))
def test_a_stop_that_failed_is_repeated_after_a_look(trouble: Trouble) -> None:
    play = Play(until(9.0, "up", "down"), stop=until(2.0, error(trouble), "accepted"))
    ending = play.run(off())
    assert ending.state is VmState.OFF
    between = [type(step) for step in play.steps]
    assert not any(one is Stop and other is Stop for one, other in pairwise(between))


@pytest.mark.parametrize("trouble", (Trouble.LOGIN, Trouble.UNTRUSTED, Trouble.DENIED))
def test_what_no_waiting_can_mend_ends_at_once(trouble: Trouble) -> None:
    for play in (
        Play(lambda _now: error(trouble)),
        Play(lambda _now: "up", stop=lambda _now: error(trouble)),
    ):
        ending = play.run(off())
        assert (ending.proof, ending.denied) == (Proof.NONE, trouble is Trouble.DENIED)
        assert play.now < 1.0


def test_a_refusal_that_comes_after_the_first_stop_leaves_the_looking_on() -> None:
    course = off()
    play = Play(until(10.0, "up", "down"), stop=lambda now: _refuse(course) if now > 4 else "accepted")
    assert play.run(course).state is VmState.OFF


def _refuse(course: Off) -> Answer:
    course.refused()
    return error(Trouble.CONFLICT)


# -- a host that the manager lost ----------


def test_unknown_is_never_off_and_says_which_host_is_missing() -> None:
    play = Play(lambda _now: "unknown")
    ending = play.run(off())
    assert (ending.state, ending.proof) == (VmState.UNKNOWN, Proof.NONE)
    assert "host h1 (non_responsive), which is not proven fenced" in ending.detail
    assert (play.count(Stop), play.count(LookAtHost), play.count(AskPower)) == (0, 1, 0)


def test_power_that_is_off_for_long_enough_proves_the_end_of_what_was_there() -> None:
    play = Play(lambda _now: "unknown", power=lambda _now: "off")
    ending = play.run(off(HostFencing.STATUS))
    assert (ending.state, ending.proof, ending.was) == (VmState.OFF, Proof.HOST_FENCED, VmState.RUNNING)
    assert ending.ended == LIFE
    assert ending.seen_at > SETTLED


@pytest.mark.parametrize(
    "power",
    (
        lambda _now: "on",
        lambda _now: "",
        lambda _now: error(Trouble.REFUSED),
        lambda now: "on" if 8 < now < 14 else "off",
        lambda now: "off" if int(now) % 3 else error(Trouble.SILENT),
    ),
)
def test_power_that_is_not_off_all_the_time_proves_nothing(power: object) -> None:
    assert callable(power)
    ending = Play(lambda _now: "unknown", power=power).run(off(HostFencing.STATUS))
    assert ending.proof is Proof.NONE


def test_a_vm_that_changes_its_host_or_its_life_meanwhile_begins_anew() -> None:
    moved = Play(lambda _now: "unknown", power=lambda _now: "off", host=lambda now: "a" if now < 12 else "b")
    assert moved.run(off(HostFencing.STATUS)).proof is Proof.NONE
    other = Play(
        lambda _now: "unknown", power=lambda _now: "off", life=lambda now: LIFE if now < 12 else Life("another")
    )
    assert other.run(off(HostFencing.STATUS)).proof is Proof.NONE


def test_a_vm_that_comes_back_in_between_begins_anew() -> None:
    play = Play(
        lambda now: "saving_state" if 10 < now < 11 else "unknown",
        power=lambda _now: "off",
    )
    assert play.run(off(HostFencing.STATUS)).proof is Proof.NONE


def test_a_host_is_restarted_once_and_only_where_that_is_configured() -> None:
    for fencing in HostFencing:
        play = Play(until(6.0, "unknown", "down"))
        ending = play.run(off(fencing))
        assert ending.proof is Proof.HYPERVISOR_WORD
        assert play.count(RestartHost) == (fencing is HostFencing.RESTART)


def test_a_restart_that_may_have_been_done_is_not_repeated_and_one_that_was_refused_for_now_is() -> None:
    refused = Play(lambda _now: "unknown", restart=until(8.0, error(Trouble.CONFLICT), "accepted"))
    refused.run(off(HostFencing.RESTART))
    assert refused.count(RestartHost) == 3
    for trouble in (Trouble.SILENT, Trouble.UNAVAILABLE, Trouble.REFUSED, Trouble.DENIED):
        unsure = Play(lambda _now: "unknown", restart=until(0.0, "", error(trouble)))
        unsure.run(off(HostFencing.RESTART))
        assert unsure.count(RestartHost) == 1


def test_a_vm_without_a_host_asks_nothing_about_hosts() -> None:
    play = Play(lambda _now: "unknown", host=lambda _now: "")
    play.run(off(HostFencing.RESTART))
    assert play.count(RestartHost) == play.count(LookAtHost) == 0


# -- whatever a manager says ----------

TROUBLES = st.sampled_from([error(trouble) for trouble in Trouble])
WORDS = st.sampled_from(sorted(STATES)) | st.just("nonsense")
SCRIPTS = st.lists(st.tuples(st.floats(0.0, 30.0), WORDS | TROUBLES), min_size=1, max_size=8)


def _script(said: list[tuple[float, Answer]]) -> list[tuple[float, Answer]]:
    return [(0.0, "up"), *sorted(said, key=lambda each: each[0])]


def _at(script: list[tuple[float, Answer]], now: float) -> Answer:
    return [answer for moment, answer in script if moment <= now][-1]


@given(SCRIPTS, st.sampled_from(("accepted", *[error(trouble) for trouble in Trouble])), st.sampled_from(HostFencing))
def test_off_is_only_what_the_manager_called_so_at_that_moment(
    said: list[tuple[float, Answer]], stop: Answer, fencing: HostFencing
) -> None:
    script = _script(said)
    play = Play(lambda now: _at(script, now), stop=lambda _now: stop)
    ending = play.run(off(fencing))
    if ending.state is VmState.OFF:
        assert ending.proof is Proof.HYPERVISOR_WORD
        assert _at(script, ending.seen_at) in ("down", "image_locked", "")
    else:
        assert ending.proof is Proof.NONE
        assert ending.detail
    assert play.now <= PATIENCE + 0.1


@given(SCRIPTS, SCRIPTS)
def test_a_fence_by_the_hosts_power_needs_it_off_for_the_whole_time_and_the_vm_unknown_at_the_end(
    said: list[tuple[float, Answer]], powers: list[tuple[float, Answer]]
) -> None:
    script = [(0.0, "unknown"), *sorted(said, key=lambda each: each[0])[-2:]]
    power = [(0.0, "off"), *[(at, "on" if isinstance(what, str) else what) for at, what in sorted(powers, key=_first)]]
    ending = Play(lambda now: _at(script, now), power=lambda now: _at(power, now)).run(off(HostFencing.STATUS))
    if ending.proof is Proof.HOST_FENCED:
        assert _at(script, ending.seen_at) in ("unknown", "unassigned", "nonsense")
        assert _at(power, ending.seen_at - 3.0) == "off"
        assert ending.seen_at >= SETTLED


def _first(pair: tuple[float, Answer]) -> float:
    return pair[0]
