"""When a VM is dead: every clause of the rule, as examples and as properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.death import (
    HANDOVER,
    Decision,
    End,
    Finding,
    Job,
    Kill,
    Lingering,
    Look,
    Power,
    Witness,
    judge,
    judge_rest,
    judge_unseen,
    observe,
)
from fencebus_schemas.model import HostId, Incarnation, Life, Proof, Uuid, VmState

LIFE = Life("1:2", 90.0)
LOOK = Look(100.0, Power.RUNNING, life=LIFE)
DESTROYED = End(Kill.DONE, Power.OFF)
SOON, LATE = 100.005, 110.0
WITNESS = Witness(HostId("h"), Incarnation("a", "b", "c"))
VM = Uuid("00000000-0000-0000-0000-000000000001")

times = st.floats(100.0, 200.0)
looks = st.builds(
    Look,
    st.just(100.0),
    st.sampled_from(Power),
    st.sampled_from(Job),
    st.just(LIFE),
    watched=st.booleans(),
    saved_image=st.booleans(),
    left_before=st.booleans(),
)
ends = st.builds(End, st.sampled_from(Kill), st.sampled_from(Power), st.booleans(), st.booleans(), st.just(""))
lingerings = st.builds(Lingering, st.just("x"), st.booleans())


def test_an_exit_right_after_a_plain_look_is_enough() -> None:
    assert judge(LOOK, SOON, None) == Finding(Decision.OFF, Proof.PROCESS_EXIT)
    assert judge(replace(LOOK, power=Power.PAUSED), SOON, None).decision is Decision.OFF


def test_a_later_exit_waits_for_libvirts_word() -> None:
    assert judge(LOOK, LATE, None).decision is Decision.WAIT
    assert judge(LOOK, LATE, DESTROYED) == Finding(Decision.OFF, Proof.PROCESS_EXIT)


def test_a_tenth_of_a_second_is_the_limit() -> None:
    look = replace(LOOK, at=0.0)
    assert judge(look, HANDOVER, None).decision is Decision.OFF
    assert judge(look, HANDOVER + 0.001, None).decision is Decision.WAIT


@pytest.mark.parametrize("seconds", (4, 25, 48, 80.1, 93.9))
def test_a_process_that_outlives_libvirts_success_is_alive(seconds: float) -> None:
    """libvirt gives up after 80 s and calls it success; the process lived for another 14 s (facts: libvirt 4.5)."""
    finding = judge(LOOK, None, DESTROYED if seconds > 80 else None)
    assert finding.decision is Decision.WAIT
    assert "alive" in finding.why
    assert judge(LOOK, 194.0, DESTROYED).decision is Decision.OFF


@pytest.mark.parametrize("kill", (Kill.LOST, Kill.FAILED, Kill.NOT_RUNNING, Kill.GONE))
def test_a_kill_that_did_not_arrive_is_tried_again(kill: Kill) -> None:
    assert judge(LOOK, None, End(kill, Power.RUNNING)).decision is Decision.LOOK_AGAIN
    assert judge(LOOK, LATE, End(kill, Power.OFF)).decision is Decision.LOOK_AGAIN


def test_a_hypervisor_that_still_says_running_is_asked_again() -> None:
    assert judge(LOOK, LATE, End(Kill.DONE, Power.RUNNING)).decision is Decision.LOOK_AGAIN


@pytest.mark.parametrize("power", (Power.OUTGOING, Power.INCOMING, Power.UNSETTLED, Power.LEFT))
def test_a_domain_that_migrates_is_in_flight_however_it_ended(power: Power) -> None:
    finding = judge(replace(LOOK, power=power), SOON, DESTROYED)
    assert finding.decision is Decision.IN_FLIGHT
    assert power.value in finding.why


@pytest.mark.parametrize("job", (Job.MIGRATION, Job.UNSEEN))
def test_a_migration_job_puts_a_running_domain_in_flight(job: Job) -> None:
    assert judge(replace(LOOK, job=job), SOON, DESTROYED).decision is Decision.IN_FLIGHT


def test_a_save_under_way_needs_libvirts_word_and_no_image() -> None:
    look = replace(LOOK, job=Job.STAYS)
    assert judge(look, SOON, None).decision is Decision.WAIT
    assert judge(look, SOON, DESTROYED).decision is Decision.OFF
    assert judge(look, SOON, replace(DESTROYED, saved_image=True)).decision is Decision.SAVED
    assert judge(look, SOON, End(Kill.DONE, Power.SAVED)).decision is Decision.SAVED


def test_an_event_that_speaks_of_migration_spoils_a_late_end() -> None:
    assert judge(LOOK, LATE, replace(DESTROYED, spoke_of_migration=True)).decision is Decision.IN_FLIGHT
    assert judge(LOOK, LATE, End(Kill.DONE, Power.LEFT)).decision is Decision.IN_FLIGHT


def test_disks_that_outlive_the_exit_are_waited_for_or_reported() -> None:
    assert judge(LOOK, SOON, DESTROYED, Lingering("a write", ends_visibly=True)) == Finding(
        Decision.WAIT, why="a write"
    )
    assert judge(LOOK, SOON, DESTROYED, Lingering("virtiofsd")) == Finding(Decision.UNPROVABLE, why="virtiofsd")


def test_without_a_process_libvirts_word_is_the_proof() -> None:
    look = replace(LOOK, watched=False)
    assert judge(look, None, None).decision is Decision.WAIT
    assert judge(look, None, DESTROYED) == Finding(Decision.OFF, Proof.HYPERVISOR_WORD)
    assert judge(look, None, End(Kill.DONE, Power.GONE)).decision is Decision.OFF


def test_a_domain_at_rest_is_off_if_nothing_speaks_against_it() -> None:
    look = Look(100.0, Power.OFF)
    assert judge_rest(look, 0) == Finding(Decision.OFF, Proof.PROCESS_EXIT)
    assert judge_rest(replace(look, watched=False), 0) == Finding(Decision.OFF, Proof.HYPERVISOR_WORD)


def test_a_domain_at_rest_with_a_process_is_not_off() -> None:
    assert judge_rest(Look(100.0, Power.OFF), 1).decision is Decision.WAIT


def test_a_domain_that_left_is_not_off_here() -> None:
    assert judge_rest(Look(100.0, Power.LEFT), 0).decision is Decision.IN_FLIGHT
    finding = judge_rest(Look(100.0, Power.GONE, left_before=True), 0)
    assert (finding.decision, finding.why) == (Decision.IN_FLIGHT, "it migrated away from here, or was about to")


def test_a_job_is_named_where_the_state_is_plain() -> None:
    assert judge(replace(LOOK, job=Job.MIGRATION), SOON, None).why == "it had a migration under way"


def test_a_saved_image_that_stays_is_a_life() -> None:
    assert judge_rest(Look(100.0, Power.SAVED, saved_image=True), 0).decision is Decision.SAVED
    assert judge_rest(Look(100.0, Power.SAVED), 0).decision is Decision.OFF


def test_what_may_still_write_is_said_of_a_domain_at_rest_too() -> None:
    assert judge_rest(Look(100.0, Power.OFF), 0, Lingering("nbd")).decision is Decision.UNPROVABLE


@given(looks, times | st.none(), ends | st.none(), lingerings | st.none())
def test_off_is_never_said_while_anything_speaks_against_it(
    look: Look, exited_at: float | None, end: End | None, lingering: Lingering | None
) -> None:
    finding = judge(look, exited_at, end, lingering)
    if finding.decision is not Decision.OFF:
        assert finding.proof is Proof.NONE
        return
    assert not look.in_flight
    assert lingering is None
    assert not look.watched or exited_at is not None
    assert look.watched or finding.proof is Proof.HYPERVISOR_WORD
    if exited_at is None or not look.too_soon_to_migrate(exited_at):
        assert end is not None
        assert (end.kill, end.spoke_of_migration, end.saved_image) == (Kill.DONE, False, False)
        assert end.power in (Power.OFF, Power.GONE)


@given(looks, st.integers(0, 2), lingerings | st.none())
def test_rest_is_never_off_while_anything_speaks_against_it(
    look: Look, processes: int, lingering: Lingering | None
) -> None:
    if judge_rest(look, processes, lingering).decision is Decision.OFF:
        assert (processes, lingering, look.in_flight, look.saved_image) == (0, None, False, False)


@given(looks, times, ends | st.none())
def test_more_time_until_the_exit_never_makes_a_stronger_case(look: Look, exited_at: float, end: End | None) -> None:
    later = judge(look, exited_at + HANDOVER, end)
    if later.decision is Decision.OFF:
        assert judge(look, exited_at, end).decision is Decision.OFF


@pytest.mark.parametrize(
    ("finding", "state", "in_flight"),
    (
        (Finding(Decision.OFF, Proof.PROCESS_EXIT), VmState.OFF, False),
        (Finding(Decision.IN_FLIGHT), VmState.UNKNOWN, True),
        (Finding(Decision.SAVED), VmState.SAVED, False),
        (Finding(Decision.WAIT), VmState.RUNNING, False),
        (Finding(Decision.UNPROVABLE), VmState.RUNNING, False),
    ),
)
def test_an_observation_says_what_was_found(finding: Finding, state: VmState, in_flight: bool) -> None:
    seen = observe(WITNESS, VM, LOOK, finding, 101.0)
    assert (seen.state, seen.migration_in_flight, seen.proof) == (state, in_flight, finding.proof)
    assert (seen.was, seen.seen_at, seen.host) == (VmState.RUNNING, 101.0, WITNESS.host)
    assert seen.ended == (LIFE if state is VmState.OFF else None)


def test_a_life_that_is_not_proven_ended_is_claimed_whatever_the_hypervisor_says() -> None:
    seen = observe(WITNESS, VM, Look(100.0, Power.OFF), Finding(Decision.WAIT), 101.0)
    assert seen.state is VmState.RUNNING


def test_what_was_ended_here_and_forgotten_was_off() -> None:
    off = Finding(Decision.OFF, Proof.PROCESS_EXIT)
    assert observe(WITNESS, VM, Look(100.0, Power.GONE), off, 101.0).was is VmState.OFF
    assert observe(WITNESS, VM, Look(100.0, Power.GONE), Finding(Decision.WAIT), 101.0).was is VmState.UNKNOWN


def test_every_condition_has_a_state() -> None:
    assert {power.state for power in Power} == set(VmState)


def test_a_process_that_cannot_be_seen_is_never_proven_gone() -> None:
    assert judge_unseen(None, True).decision is Decision.WAIT
    assert judge_unseen(DESTROYED, True).decision is Decision.UNPROVABLE
    assert judge_unseen(End(Kill.NOT_RUNNING, Power.OFF), True).decision is Decision.LOOK_AGAIN


def test_a_process_that_had_ended_before_the_kill_is_looked_for_again() -> None:
    assert judge_unseen(None, False).decision is Decision.WAIT
    assert judge_unseen(DESTROYED, False).decision is Decision.LOOK_AGAIN
