"""One host's part: looks under guard, kills that are written down before they are answered, orders done once."""

from __future__ import annotations

import pytest

from fencebus_host.effects import Deed, Keep, Kill, Look
from fencebus_host.federation.member import Refusal
from fencebus_schemas.model import Life, Observation, Proof, Reason, RequestId, Sight, VmState
from fencebus_schemas.peer import FenceAnswer, GuardAnswer, Lift
from tests.host_agent.federation.words import (
    ME,
    MINE,
    OFF,
    ONE,
    OTHER,
    RUNNING,
    SOURCE,
    THEIRS,
    TWO,
    VM,
    OneMember,
    ended,
    fence,
    guard,
    job_of,
    quote,
    said,
)  # fmt: skip

OLD = Life("life", -50.0)


def killed(one: OneMember, now: float = 1.0, identity: str = "same") -> FenceAnswer:
    """Order, permit, act, write, answer."""
    kill = job_of(one.member.fence(fence(one.quote(now), identity=identity), now), Kill)
    assert one.member.permit(kill.job, OLD, now) is None
    (keep,) = one.member.acted(kill.job, ended(), now)
    assert isinstance(keep, Keep)
    answer = said(one.member.kept(keep.job, True, now))
    assert isinstance(answer, FenceAnswer)
    return answer


def test_a_guard_is_answered_with_a_look_under_its_serial() -> None:
    one = OneMember()
    look = job_of(one.member.guard(guard(one.quote(1.0)), 1.0), Look)
    answer = said(one.member.looked(look.job, OFF, 1.1))
    assert isinstance(answer, GuardAnswer)
    assert (answer.sight, bool(answer.serial)) == (OFF, True)


def test_a_look_during_which_something_happened_is_no_denial() -> None:
    one = OneMember()
    look = job_of(one.member.guard(guard(one.quote(1.0)), 1.0), Look)
    one.member.changed(VM, 1.05)
    answer = said(one.member.looked(look.job, OFF, 1.1))
    assert isinstance(answer, GuardAnswer)
    assert answer.serial == ""


def test_a_stale_guard_is_refused_with_a_token_that_was_born_now() -> None:
    one = OneMember()
    answer = said(one.member.guard(guard(quote("strange")), 1.0))
    assert isinstance(answer, GuardAnswer)
    assert answer.refusal is Reason.STALE_COMMAND
    assert one.tokens.accept(quote(answer.token, 0.0), 1.0) is not None


def test_what_turns_up_under_a_guard_is_reported_at_once() -> None:
    one = OneMember()
    one.member.guard(guard(one.quote(1.0)), 1.0)
    look = job_of(one.member.changed(VM, 1.2), Look)
    report = said(one.member.looked(look.job, RUNNING, 1.3))
    assert isinstance(report, GuardAnswer)
    assert (report.to, report.sight) == (OTHER, RUNNING)
    one.member.lift(Lift(OTHER, THEIRS, ME, ONE, VM))
    look = job_of(one.member.changed(VM, 1.4), Look)
    assert one.member.looked(look.job, RUNNING, 1.5) == []


def test_s4_a_kill_is_on_the_disk_before_it_is_answered() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    assert one.member.permit(kill.job, OLD, 1.0) is None
    effects = one.member.acted(kill.job, ended(), 1.0)
    assert [type(effect) for effect in effects] == [Keep]


def test_s4_a_kill_that_cannot_be_written_down_is_a_failure() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    (keep,) = one.member.acted(kill.job, ended(), 1.0)
    assert isinstance(keep, Keep)
    answer = said(one.member.kept(keep.job, False, 1.0))
    assert isinstance(answer, FenceAnswer)
    assert (answer.observation, answer.refusal) == (None, Reason.NOT_RECORDED)


def test_s7_the_same_order_while_it_runs_is_done_once_and_answered_twice() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    assert one.member.fence(fence(one.quote(1.1), TWO), 1.1) == []
    (keep,) = one.member.acted(kill.job, ended(), 1.2)
    assert isinstance(keep, Keep)
    assert len(one.member.kept(keep.job, True, 1.2)) == 2


def test_s7_a_deed_answers_the_same_order_again_once_nothing_is_seen_here() -> None:
    one = OneMember()
    first = killed(one)
    kill = job_of(one.member.fence(fence(one.quote(2.0)), 2.0), Kill)
    nothing = Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 2.0, was=VmState.OFF)
    again = said(one.member.acted(kill.job, nothing, 2.0))
    assert isinstance(again, FenceAnswer)
    assert again.observation == first.observation


def test_s7_a_later_life_is_left_alone_and_the_deed_answers() -> None:
    one = OneMember()
    first = killed(one)
    kill = job_of(one.member.fence(fence(one.quote(2.0, age=1.5)), 2.0), Kill)
    assert one.member.permit(kill.job, Life("new", 1.8), 2.0) is Reason.YOUNGER_LIFE
    again = said(one.member.acted(kill.job, Refusal(Reason.YOUNGER_LIFE), 2.0))
    assert isinstance(again, FenceAnswer)
    assert again.observation == first.observation


def test_s14_an_old_life_that_turned_up_after_a_deed_is_ended_too() -> None:
    one = OneMember()
    killed(one)
    kill = job_of(one.member.fence(fence(one.quote(2.0)), 2.0), Kill)
    assert one.member.permit(kill.job, Life("other", -60.0), 2.0) is None
    (keep,) = one.member.acted(kill.job, ended("other"), 2.0)
    assert isinstance(keep, Keep)


def test_s4_a_restarted_owner_attests_what_it_did() -> None:
    one = OneMember(started_at=0.0)
    one.member.remember([Deed("same", ONE, ended())])
    kill = job_of(one.member.fence(fence(one.quote(9.0)), 9.0), Kill)
    nothing = Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 9.0, was=VmState.OFF)
    again = said(one.member.acted(kill.job, nothing, 9.0))
    assert isinstance(again, FenceAnswer)
    assert again.observation == ended()


def test_s4_a_dry_run_takes_no_order_and_attests_nothing_that_was_done_before() -> None:
    one = OneMember(obeys=False)
    one.member.remember([Deed("same", ONE, ended())])
    for identity in ("same", "another"):
        answer = said(one.member.fence(fence(one.quote(1.0), identity=identity), 1.0))
        assert isinstance(answer, FenceAnswer)
        assert (answer.observation, answer.refusal) == (None, Reason.PAUSED)
        assert answer.text == "me: its daemon runs with --dry-run and carries out nothing"
    look = job_of(one.member.guard(guard(one.quote(2.0), TWO, source=VM), 2.0), Look)
    answer = said(one.member.looked(look.job, RUNNING, 2.1))
    assert isinstance(answer, GuardAnswer), "what was refused has condemned nobody (S16)"
    assert answer.sight == RUNNING


def test_s12_a_kill_is_not_begun_after_its_time() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    assert one.member.permit(kill.job, OLD, 2.9) is None
    assert one.member.permit(kill.job, OLD, 3.1) is Reason.DEADLINE
    assert one.member.permit(type(kill.job)(999), OLD, 1.0) is Reason.DEADLINE


def test_s16_what_a_vm_asks_for_is_refused_while_it_is_being_fenced_and_a_lease_longer() -> None:
    one = OneMember()
    killed(one)
    refused = said(one.member.guard(guard(one.quote(2.0), TWO, source=VM, vm=SOURCE), 2.0))
    assert isinstance(refused, GuardAnswer)
    assert refused.refusal is Reason.SOURCE_FENCED
    assert isinstance(job_of(one.member.guard(guard(one.quote(9.0), TWO, source=VM, vm=SOURCE), 9.0), Look), Look)


@pytest.mark.parametrize("others", (("second",), ("second", "third")))
def test_s16_fences_that_find_it_dead_already_take_nothing_from_what_the_first_has_condemned(
    others: tuple[str, ...],
) -> None:
    one = OneMember()
    first = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    for other in others:
        assert one.member.fence(fence(one.quote(1.0), RequestId(other), identity=other), 1.0) == []
    assert one.member.permit(first.job, OLD, 1.0) is None
    (keep,) = one.member.acted(first.job, ended(), 1.1)
    nothing = Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 1.2, was=VmState.OFF)
    for _ in others:
        assert isinstance(keep, Keep)
        next_one = job_of(one.member.kept(keep.job, True, 1.1), Kill)
        (keep,) = one.member.acted(next_one.job, nothing, 1.2)
    assert isinstance(keep, Keep)
    one.member.kept(keep.job, True, 1.2)
    refused = said(one.member.guard(guard(one.quote(2.0), TWO, source=VM, vm=SOURCE), 2.0))
    assert isinstance(refused, GuardAnswer)
    assert refused.refusal is Reason.SOURCE_FENCED


def test_s16_a_life_that_came_after_the_request_does_not_speak_for_it() -> None:
    one = OneMember()
    look = job_of(one.member.changed(SOURCE, 5.0), Look)  # the guest appears here
    one.member.looked(look.job, OFF, 5.0)
    one.hosts = True
    for age, speaks in ((2.0, False), (0.5, True)):
        look = job_of(one.member.guard(guard(one.quote(6.0, age=age), source=SOURCE), 6.0), Look)
        answer = said(one.member.looked(look.job, OFF, 6.0))
        assert isinstance(answer, GuardAnswer)
        assert answer.source_here is speaks


def test_s16_the_order_with_the_greater_id_loses_against_a_rival_known_here() -> None:
    one = OneMember()
    one.member.guard(guard(one.quote(1.0), ONE, vm=SOURCE, source=VM), 1.0)
    refused = said(one.member.fence(fence(one.quote(1.1), TWO, SOURCE), 1.1))
    assert isinstance(refused, FenceAnswer)
    assert refused.refusal is Reason.SOURCE_FENCED
    assert isinstance(job_of(one.member.fence(fence(one.quote(1.1), RequestId("0"), SOURCE, "other"), 1.1), Kill), Kill)


def test_one_action_at_a_time_for_a_vm() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    assert one.member.fence(fence(one.quote(1.0), TWO, identity="other"), 1.0) == []
    effects = one.member.acted(kill.job, Refusal(Reason.HYPERVISOR_ERROR, "no"), 1.1)
    assert isinstance(said(effects), FenceAnswer)
    assert isinstance(job_of(effects, Kill), Kill)


def test_what_is_over_is_forgotten() -> None:
    one = OneMember()
    killed(one)
    one.member.expire(500.0)
    kill = job_of(one.member.fence(fence(one.quote(500.0)), 500.0), Kill)
    nothing = Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 500.0, was=VmState.OFF)
    assert [type(effect) for effect in one.member.acted(kill.job, nothing, 500.0)] == [Keep]


def test_s12_a_saved_life_without_a_birth_is_as_young_as_its_first_sight_here() -> None:
    saved = Sight(VM, VmState.SAVED, life=Life("saved"))
    for seen_at, refusal in ((1.0, None), (3.0, Reason.YOUNGER_LIFE)):
        one = OneMember(hosts=True)
        look = job_of(one.member.changed(VM, seen_at), Look)
        one.member.looked(look.job, saved, seen_at)
        kill = job_of(one.member.fence(fence(one.quote(4.0, age=2.0)), 4.0), Kill)
        assert one.member.permit(kill.job, saved.life, 4.0) is refusal
        told = job_of(one.member.guard(guard(one.quote(4.0, age=2.0), TWO), 4.0), Look)
        word = said(one.member.looked(told.job, saved, 4.0))
        assert isinstance(word, GuardAnswer)
        assert word.is_old is (refusal is None)
