"""One host's part in starts, and what it says while it acts, of whom, and for how long."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from fencebus_host.effects import Boot, Deed, Keep, Kill, Look
from fencebus_host.federation.member import REMEMBERED, UNASKED, Member, Refusal, Surroundings
from fencebus_host.federation.rules import LEASE
from fencebus_host.federation.tokens import Tokens
from fencebus_schemas.model import HostId, Life, Observation, Proof, Reason, Sight, Source, VmState
from fencebus_schemas.peer import FenceAnswer, Forgotten, GuardAnswer, Message, Purpose, Quote, Start, StartAnswer
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
    counting,
    ended,
    fence,
    guard,
    job_of,
    said,
)

OLD = Life("life", -50.0)
UP = Observation(VM, VmState.RUNNING, ME, MINE, Proof.NONE, 1.2, was=VmState.OFF)


def start(quoted: Quote, serial: str, identity: str = "same") -> Start:
    return Start(OTHER, THEIRS, ME, ONE, identity, VM, serial, Source("operator"), None, VM, "test", quoted)


def granted(one: OneMember, now: float = 1.0) -> str:
    """The serial of a start guard."""
    look = job_of(one.member.guard(guard(one.quote(now), purpose=Purpose.START), now), Look)
    answer = said(one.member.looked(look.job, OFF, now))
    assert isinstance(answer, GuardAnswer)
    return answer.serial


def booting(one: OneMember, serial: str) -> Boot:
    (effect,) = one.member.start(start(one.quote(1.0), serial), 1.0)
    assert isinstance(effect, Boot)
    return effect


def test_s15_a_start_stands_on_the_very_claim_that_was_granted_and_on_nothing_that_happened_since() -> None:
    one = OneMember()
    boot = booting(one, granted(one))
    assert one.member.permit(boot.job, None, 1.1) is None
    one.member.changed(VM, 1.2)
    assert one.member.permit(boot.job, None, 1.3) is Reason.NOT_STARTED
    assert OneMember().member.permit(boot.job, None, 1.0) is Reason.DEADLINE


def test_s15_a_start_without_a_claim_is_not_permitted() -> None:
    one = OneMember()
    assert one.member.permit(booting(one, "").job, None, 1.1) is Reason.NOT_STARTED


def test_s4_a_start_is_on_the_disk_before_it_is_answered_and_is_answered_as_a_start() -> None:
    one = OneMember()
    boot = booting(one, granted(one))
    (keep,) = one.member.acted(boot.job, UP, 1.2)
    assert isinstance(keep, Keep)
    assert keep.record == Deed("same", ONE, UP, boot=True)
    assert said(one.member.kept(keep.job, True, 1.3)).__class__ is StartAnswer


def test_s7_a_start_that_was_done_is_told_again_and_not_done_again() -> None:
    one = OneMember()
    (keep,) = one.member.acted(booting(one, granted(one)).job, UP, 1.2)
    assert isinstance(keep, Keep)
    one.member.kept(keep.job, True, 1.3)
    again = said(one.member.start(start(one.quote(2.0), "whatever"), 2.0))
    assert isinstance(again, StartAnswer)
    assert again.observation == UP


def test_s7_a_start_and_a_fence_of_one_request_are_two_deeds() -> None:
    one = OneMember()
    one.member.remember([Deed("same", ONE, UP, boot=True)])
    assert isinstance(job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill), Kill)


def test_a_start_that_fails_is_told_as_it_is_and_may_be_tried_again() -> None:
    one = OneMember()
    effects = one.member.acted(booting(one, granted(one)).job, Refusal(Reason.HYPERVISOR_ERROR, "no"), 1.2)
    answer = said(effects)
    assert isinstance(answer, StartAnswer)
    assert (answer.refusal, answer.text) == (Reason.HYPERVISOR_ERROR, "no")
    assert isinstance(one.member.start(start(one.quote(2.0), ""), 2.0)[0], Boot)


def test_what_is_seen_while_an_action_is_under_way_is_no_denial_and_a_claim_is_a_claim() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    for sight, state, in_flight in ((OFF, VmState.UNKNOWN, True), (RUNNING, VmState.RUNNING, False)):
        look = job_of(one.member.guard(guard(one.quote(1.0)), 1.0), Look)
        answer = said(one.member.looked(look.job, sight, 1.1))
        assert isinstance(answer, GuardAnswer)
        assert answer.sight is not None
        assert (answer.sight.state, answer.sight.in_flight) == (state, in_flight)
    one.member.acted(kill.job, Refusal(Reason.DEADLINE), 1.2)
    look = job_of(one.member.guard(guard(one.quote(1.3)), 1.3), Look)
    answer = said(one.member.looked(look.job, OFF, 1.4))
    assert isinstance(answer, GuardAnswer)
    assert answer.sight == OFF


def test_what_was_done_breaks_the_guards_on_it() -> None:
    one = OneMember()
    before = granted(one)
    one.member.acted(booting(one, before).job, Refusal(Reason.HYPERVISOR_ERROR), 1.1)
    look = job_of(one.member.guard(guard(one.quote(1.2), purpose=Purpose.START), 1.2), Look)
    answer = said(one.member.looked(look.job, OFF, 1.2))
    assert isinstance(answer, GuardAnswer)
    assert answer.serial not in ("", before)


def test_a_report_that_nobody_asked_for_says_so_and_denies_nothing() -> None:
    one = OneMember()
    one.member.guard(guard(one.quote(1.0)), 1.0)
    look = job_of(one.member.changed(VM, 1.2), Look)
    report = said(one.member.looked(look.job, RUNNING, 1.3))
    assert isinstance(report, GuardAnswer)
    assert (report.stamp, report.serial, report.round) == (UNASKED, "", 1)
    assert UNASKED == -1.0  # it goes over the wire: other versions have to know it
    look = job_of(one.member.changed(VM, 1.4), Look)
    assert one.member.looked(look.job, OFF, 1.5) == []


@pytest.mark.parametrize(("digest", "told"), (("theirs", True), ("ours", False)))
def test_members_are_told_to_whoever_knows_others(digest: str, told: bool) -> None:
    forgotten = (Forgotten(HostId("gone"), 1),)
    around = Surroundings(
        lambda _order: True, lambda _vm: False, lambda: "ours", lambda: (ME, OTHER), lambda: forgotten, counting()
    )
    tokens = Tokens(MINE, counting())
    member = Member(ME, MINE, around, tokens, -100.0)
    quoted = Quote(tokens.fresh(1.0), MINE, 10.0, 0.0)
    (look,) = member.guard(replace(guard(quoted), members=digest), 1.0)
    assert isinstance(look, Look)
    answer = said(member.looked(look.job, OFF, 1.0))
    assert isinstance(answer, GuardAnswer)
    assert answer.members == ((ME, OTHER) if told else ())
    assert answer.forgotten == (forgotten if told else ())


def tokens_of(messages: list[Message]) -> list[str]:
    return [each.token for each in messages if isinstance(each, GuardAnswer | FenceAnswer)]


def test_a_refusal_brings_a_token_that_was_born_now_and_an_answer_the_newest() -> None:
    one = OneMember()
    newest = one.tokens.newest(1.0)
    stale = said(one.member.fence(fence(Quote("strange", MINE, 9.0, 0.0)), 1.0))
    look = job_of(one.member.guard(guard(one.quote(1.0)), 1.0), Look)
    quoted = one.tokens.newest(1.0)
    calm = said(one.member.looked(look.job, OFF, 1.05))
    first, second = tokens_of([stale, calm])
    assert first not in (newest, "")
    assert second == quoted


def test_s16_a_refused_fence_leaves_the_vm_free_to_ask_and_a_begun_one_condemns_it_for_a_lease() -> None:
    for begun in (False, True):
        one = OneMember()
        kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
        if begun:
            assert one.member.permit(kill.job, OLD, 1.0) is None
        one.member.acted(kill.job, Refusal(Reason.HYPERVISOR_ERROR), 2.0)
        asked = guard(one.quote(2.0), TWO, source=VM, vm=SOURCE)
        refused = [each for each in one.member.guard(asked, 2.0) if not isinstance(each, Look)]
        assert bool(refused) is begun
        later = 2.0 + LEASE
        one.member.expire(later)
        assert isinstance(one.member.guard(guard(one.quote(later), TWO, source=VM, vm=SOURCE), later)[0], Look)


def test_the_orders_for_one_vm_are_done_in_the_order_of_their_coming() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    for number in ("two", "three"):
        assert one.member.fence(fence(one.quote(1.0), identity=number), 1.0) == []
    done = itertools.count()
    for expected in ("two", "three"):
        effects = one.member.acted(kill.job, Refusal(Reason.HYPERVISOR_ERROR), 1.1 + next(done))
        kill = job_of(effects, Kill)
        assert one.member._acts[kill.job].order.identity == expected


def test_s16_another_life_of_a_guest_appeared_when_it_was_first_seen() -> None:
    one = OneMember(hosts=True)
    for mark, now, known in (("a", 5.0, 5.0), ("a", 6.0, 5.0), ("b", 7.0, 7.0)):
        look = job_of(one.member.changed(VM, now), Look)
        one.member.looked(look.job, Sight(VM, VmState.RUNNING, life=Life(mark, 1.0)), now)
        assert one.member._appeared[VM] == known
    look = job_of(one.member.changed(VM, 8.0), Look)
    one.member.looked(look.job, OFF, 8.0)
    look = job_of(one.member.changed(VM, 9.0), Look)
    one.member.looked(look.job, Sight(VM, VmState.RUNNING, life=Life("b", 1.0)), 9.0)
    assert one.member._appeared[VM] == 9.0


def test_a_deed_is_remembered_as_long_as_any_request_has_patience() -> None:
    one = OneMember()
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    (keep,) = one.member.acted(kill.job, ended(), 1.0)
    assert isinstance(keep, Keep)
    one.member.kept(keep.job, True, 1.0)
    for now, remembered in ((1.0 + REMEMBERED - 0.1, True), (1.0 + REMEMBERED, False)):
        one.member.expire(now)
        assert (one.member._done("same/fence", now) is not None) is remembered


def test_what_is_over_is_forgotten_and_what_is_not_is_kept() -> None:
    one = OneMember()
    one.member.remember([Deed("old", ONE, ended())])
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    assert one.member.permit(kill.job, OLD, 1.0) is None
    one.member.acted(kill.job, Refusal(Reason.HYPERVISOR_ERROR), 2.0)
    one.member.guard(guard(one.quote(2.0)), 2.0)
    one.member.expire(2.1)
    assert set(one.member._deeds) == {"old/fence"}
    assert set(one.member._condemned) == {VM}
    assert one.member._guards._held
    one.member.expire(2.0 + LEASE)
    assert one.member._condemned == {}
    assert one.member._guards._held == {}
    one.member.expire(REMEMBERED - 100.0)
    assert one.member._deeds == {}


def test_s7_a_deed_that_ended_nothing_is_no_answer_to_what_is_seen_now() -> None:
    one = OneMember()
    nothing = Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 0.5, was=VmState.OFF)
    one.member.remember([Deed("same", ONE, nothing)])
    kill = job_of(one.member.fence(fence(one.quote(1.0)), 1.0), Kill)
    again = replace(nothing, seen_at=1.5)
    (keep,) = one.member.acted(kill.job, again, 1.5)
    assert isinstance(keep, Keep)
    assert keep.record == Deed("same", ONE, again)


def test_no_job_has_the_number_of_those_that_nobody_waits_for() -> None:
    one = OneMember()
    assert [one.member._number() for _ in range(3)] == [1, 2, 3]


def test_s16_a_start_asks_for_no_life_so_that_it_is_not_refused_just_after_the_daemons_own() -> None:
    one = OneMember(started_at=0.5)
    serial = granted(one)
    asked = replace(start(one.quote(1.0), serial), source=Source(SOURCE, SOURCE))
    (effect,) = one.member.start(asked, 1.0)
    assert isinstance(effect, Boot)
