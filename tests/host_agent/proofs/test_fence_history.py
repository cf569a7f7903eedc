"""What a cluster's history proves, by the times of our own looks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.host_death import Fate, Witness
from fencebus_host.proofs.cluster_view import ClusterView, Result
from fencebus_host.proofs.fence_history import FenceHistory
from tests.host_agent.proofs.crm import BY_HAND, OFF, REBOOT, view

PENDING = replace(REBOOT, result=Result.PENDING, completed="")


def after(*looks: ClusterView) -> FenceHistory:
    """Looks, one a second from 1 on."""
    history = FenceHistory()
    for at, look in enumerate(looks, 1):
        history.looked(look, float(at))
    return history


def test_a_reboot_began_after_the_last_look_that_showed_none_and_ended_after_the_last_that_showed_no_end() -> None:
    found = after(view(b="online"), view(), view(PENDING), view(PENDING), view(REBOOT)).says("b")
    assert (found.by, found.fate, found.not_before, found.done_after) == (Witness.PACEMAKER, Fate.FENCED, 2.0, 4.0)
    assert "rebooted b through a" in found.text


def test_a_node_that_was_switched_off_is_off() -> None:
    found = after(view(b="online"), view(OFF)).says("b")
    assert (found.by, found.fate, found.done_after) == (Witness.PACEMAKER, Fate.OFF, 1.0)


def test_a_word_given_by_hand_is_an_operators() -> None:
    found = after(view(b="online"), view(BY_HAND)).says("b")
    assert (found.by, found.fate) == (Witness.OPERATOR, Fate.OFF)


def test_a_word_given_by_hand_stands_against_attempts_that_hang_or_fail_and_against_nothing_else() -> None:
    for nothing in (PENDING, replace(REBOOT, result=Result.FAILED, completed="later")):
        found = after(view(b="online"), view(PENDING), view(nothing, BY_HAND)).says("b")
        assert (found.by, found.fate) == (Witness.OPERATOR, Fate.OFF)
    ended_by = (replace(OFF, action="on", result=result, completed="later") for result in Result)
    for event in (*ended_by, replace(REBOOT, completed="later")):
        assert after(view(b="online"), view(BY_HAND), view(event, BY_HAND)).says("b").fate is not Fate.OFF
    assert after(view(b="online"), view(OFF), view(PENDING, OFF)).says("b").fate is Fate.UNKNOWN


def test_what_the_first_look_shows_may_be_of_any_time() -> None:
    assert after(view(OFF)).says("b").fate is Fate.UNKNOWN
    assert after(view(OFF), view(OFF)).says("b").fate is Fate.UNKNOWN


def test_a_fencer_that_learns_old_events_anew_proves_nothing() -> None:
    assert after(view(), view(REBOOT)).says("b").fate is Fate.UNKNOWN
    known = after(view(REBOOT, b="online"), view(b="online"), view(REBOOT))
    assert known.says("b").fate is Fate.UNKNOWN


def test_a_node_that_is_online_again_is_alive_and_its_old_fencing_is_over() -> None:
    history = after(view(b="online"), view(REBOOT), view(REBOOT, b="online"))
    assert history.says("b").fate is Fate.ALIVE
    assert "Start it there" in history.says("b").text
    history.looked(view(REBOOT), 9.0)
    assert history.says("b").fate is Fate.UNKNOWN


def test_without_quorum_or_with_a_device_that_cuts_no_power_nothing_is_proven() -> None:
    assert after(view(b="online"), view(OFF, quorate=False)).says("b").fate is Fate.UNKNOWN
    scsi = after(view(b="online"), view(OFF, agents=("fence_scsi",)))
    assert scsi.says("b").fate is Fate.UNKNOWN
    assert "fence_scsi" in scsi.says("b").text


def test_failed_and_pending_fencings_and_those_of_others_prove_nothing() -> None:
    for event in (replace(OFF, result=Result.FAILED), PENDING, replace(OFF, target="c"), replace(OFF, action="on")):
        assert after(view(b="online"), view(event)).says("b").fate is Fate.UNKNOWN


def test_what_was_done_after_a_fencing_overrides_it() -> None:
    later = replace(OFF, action="on", completed="later")
    assert after(view(b="online"), view(OFF), view(later, OFF)).says("b").fate is Fate.UNKNOWN
    failed = replace(OFF, result=Result.FAILED, completed="later")
    assert after(view(b="online"), view(OFF), view(failed, OFF)).says("b").fate is Fate.UNKNOWN
    assert after(view(b="online"), view(REBOOT), view(OFF, REBOOT)).says("b").fate is Fate.OFF


def test_a_look_that_failed_says_nothing_and_makes_the_next_no_younger() -> None:
    history = after(view(b="online"))
    history.failed("the look was not over at the deadline")
    found = history.says("b")
    assert (found.fate, found.text) == (
        Fate.UNKNOWN,
        "pacemaker has said nothing about b: the look was not over at the deadline",
    )
    history.looked(view(OFF), 50.0)
    assert history.says("b").done_after == 1.0


def test_a_host_that_is_no_node_is_unknown() -> None:
    assert after(view(b="online"), view(OFF)).says("z").fate is Fate.UNKNOWN
    assert FenceHistory().says("b").fate is Fate.UNKNOWN
    assert "nobody has looked yet" in FenceHistory().says("b").text


looks = st.lists(
    st.builds(
        lambda events, b, quorate: view(*events, b=b, quorate=quorate),
        st.lists(st.sampled_from((OFF, REBOOT, BY_HAND, PENDING, replace(OFF, action="on"))), max_size=3),
        st.sampled_from(("online", "offline", "unclean")),
        st.booleans(),
    ),
    max_size=6,
)


@given(looks)
def test_no_history_proves_what_no_look_has_shown(seen: list[ClusterView]) -> None:
    found = after(*seen).says("b")
    if found.fate not in (Fate.OFF, Fate.FENCED):
        return
    assert found.done_after is not None
    assert found.not_before is not None
    assert found.not_before <= found.done_after < len(seen)
    assert seen[-1].quorate
    assert "b" not in seen[-1].online
    assert any("b" in look.online and look.quorate for look in seen[: int(found.done_after)])
