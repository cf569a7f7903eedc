"""The course of one request across all members: asked, ordered, begun again, and laid before the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import verdict
from fencebus_host.federation.coordinator import RENEW
from fencebus_host.federation.fence_course import GRACE, MOST_YOUNG
from fencebus_host.federation.rules import LEASE
from fencebus_host.federation.tokens import Tokens
from fencebus_schemas.model import Action, Life, Reason, VmState
from fencebus_schemas.peer import Fence, Guard, Lift, Purpose, Start
from tests.host_agent.federation import courses
from tests.host_agent.federation.courses import A, B, Table, incarnation, killed, runs
from tests.host_agent.federation.words import MINE, OFF, RUNNING, SOURCE, VM, counting


def test_all_members_are_guarded_and_the_recorded_owner_is_fenced_at_once_and_in_parallel() -> None:
    table = Table()
    assert [(each.to, each.round, each.purpose) for each in table.sent(Guard)] == [
        (A, 1, Purpose.FENCE),
        (B, 1, Purpose.FENCE),
    ]
    (order,) = table.sent(Fence)
    assert (order.to, order.vm, order.identity, order.begin) == (A, VM, "identity", LEASE)
    assert (order.quote.token, order.quote.incarnation, order.quote.patience, order.quote.age) == (
        "token-a",
        incarnation(A),
        20.0,
        0.0,
    )


def test_however_long_a_request_has_its_commands_are_fresh_to_whoever_gets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courses, "WIDE", 3600.0)
    table, tokens = Table(), Tokens(MINE, counting())
    quotes = [each.quote for each in table.sent(Guard)] + [each.quote for each in table.sent(Fence)]
    assert len(quotes) == 3
    for quoted in quotes:
        mine = replace(quoted, token=tokens.fresh(1.0), incarnation=MINE)
        assert tokens.accept(mine, 1.0) is not None


def test_guards_are_renewed_and_orders_repeated_after_half_a_second_and_not_before() -> None:
    table = Table()
    table.out.clear()
    table.wait(RENEW - 0.1)
    assert table.sent(Guard) == []
    assert table.sent(Fence) == []
    table.wait(0.2)
    assert [each.to for each in table.sent(Guard)] == [A, B]
    (order,) = table.sent(Fence)
    assert order.quote.age == pytest.approx(0.5, abs=0.11)
    assert order.quote.patience == pytest.approx(19.5, abs=0.11)


def test_a_plain_kill_is_enough_once_every_member_has_spoken() -> None:
    table = Table()
    table.deny(B)
    table.fenced(A, killed())
    assert table.over
    assert verdict.decide_off(table.request, table.evidence[0]).ok
    assert sorted(each.to for each in table.sent(Lift)) == [A, B]


def test_the_order_goes_out_before_the_guards() -> None:
    assert [type(each) for each in Table().out] == [Fence, Guard, Guard]


def test_after_a_plain_kill_nobody_is_asked_again_whose_first_word_is_on_its_way() -> None:
    table = Table()
    table.out.clear()
    table.fenced(A, killed())
    assert table.sent(Guard) == []
    table.deny(B)
    assert table.over


def test_s3_after_a_kill_a_claim_has_all_members_asked_again_at_once() -> None:
    table = Table()
    table.fenced(A, killed())
    table.out.clear()
    table.says(B, replace(RUNNING, life=Life("copy")))
    assert [(each.to, each.round) for each in table.sent(Guard)] == [(A, 2), (B, 2)]


def test_s14_after_a_kill_that_proves_nothing_all_members_are_asked_again_at_once() -> None:
    table = Table()
    table.out.clear()
    table.fenced(A, replace(killed(), migration_in_flight=True))
    assert [(each.to, each.round) for each in table.sent(Guard)] == [(A, 2), (B, 2)]


def test_s3_a_plain_kill_waits_its_grace_for_a_member_that_has_said_nothing() -> None:
    table = Table()
    table.fenced(A, killed())
    table.wait(GRACE - 0.1)
    assert not table.over
    table.wait(0.2)
    assert table.over


def test_s3_a_claim_that_comes_within_the_grace_is_fenced_too() -> None:
    table = Table()
    table.fenced(A, killed())
    table.says(B, replace(RUNNING, life=Life("copy")))
    assert [each.to for each in table.sent(Fence) if each.to == B] == [B]
    table.wait(2.0)
    assert not table.over
    table.fenced(B, killed(B, "copy"))
    assert table.over


def test_s3_where_a_life_was_seen_to_end_no_other_hosts_claim_of_it_stands() -> None:
    table = Table()
    table.says(B, RUNNING)
    table.fenced(A, killed())
    table.deny(B)
    assert not table.over  # what B was ordered is not answered
    table.fenced(B, replace(killed(B), ended=None, was=VmState.OFF))
    assert table.over


def test_s3_a_host_that_has_it_again_after_its_kill_fails_the_fence_at_the_third_answer() -> None:
    table = Table()
    table.fenced(A, killed())
    table.says(A, replace(RUNNING, life=Life("later")))
    for _ in range(MOST_YOUNG - 1):
        table.fenced(A, killed())
        assert not table.over
    table.fenced(A, killed())
    assert table.over
    objection = table.evidence[0].objection
    assert objection is not None
    assert objection.reason is Reason.STILL_CLAIMED


def test_s2_where_nobody_has_it_two_rounds_are_asked_one_after_the_other() -> None:
    table = Table(state=VmState.OFF)
    assert table.sent(Fence) == []
    table.deny(A, B)
    assert [each.round for each in table.sent(Guard)][-2:] == [2, 2]
    assert not table.over


def test_s2_two_clean_rounds_end_it() -> None:
    table = Table(state=VmState.OFF)
    table.deny(A, B)
    table.deny(A)
    assert not table.over
    table.deny(B)
    assert table.over
    assert verdict.decide_off(table.request, table.evidence[0]).ok


def test_a_round_that_cannot_become_clean_is_begun_again_soon_and_not_at_once() -> None:
    table = Table(state=VmState.OFF)
    table.says(A, OFF, serial="")
    table.out.clear()
    table.do(table.machine.tick(table.now + 0.05))
    assert table.sent(Guard) == []
    table.wait(0.2)
    assert {each.round for each in table.sent(Guard)} == {2}


def test_s2_what_was_denied_before_the_last_kill_counts_for_nothing() -> None:
    table = Table()
    table.deny(A, B)
    assert table.guard_of(B).round == 2
    table.fenced(A, replace(killed(), ended=None, was=VmState.OFF))
    assert table.guard_of(B).round == 3
    assert not table.over


def test_a_stale_guard_is_sent_again_at_once_but_not_for_ever() -> None:
    table = Table()
    table.says(A, None, refusal=Reason.STALE_COMMAND, token="newer")
    assert table.guard_of(A).quote.token == "newer"
    count = len(table.sent(Guard, A))
    table.says(A, None, refusal=Reason.STALE_COMMAND, token="newest")
    assert count == 2
    assert table.sent(Guard, A) == []


def test_s16_a_source_that_is_fenced_ends_the_request() -> None:
    table = Table()
    table.says(B, None, refusal=Reason.SOURCE_FENCED)
    assert table.over
    assert not verdict.decide_off(table.request, table.evidence[0]).ok


def test_s16_nothing_is_ordered_for_a_guest_before_its_host_knows_and_only_for_a_lease_since_it_was_asked() -> None:
    table = Table(source=SOURCE)
    assert table.sent(Fence) == []
    table.now += 0.25
    table.says(B, OFF, source_here=True)
    (order,) = table.sent(Fence)
    assert order.begin == pytest.approx(LEASE - 0.25)
    table.wait(2.1)
    table.out.clear()
    table.wait(1.0)
    assert table.sent(Fence) == []


def test_s12_a_life_that_its_host_vouches_for_as_old_is_named_in_every_order() -> None:
    table = Table()
    table.says(A, RUNNING, is_old=True)
    table.wait(0.6)
    assert [each.lives for each in table.sent(Fence)][-1] == ("life",)


@pytest.mark.parametrize("refusal", (Reason.DENIED, Reason.SOURCE_FENCED, Reason.REQUESTER_GONE, Reason.NOT_RECORDED))
def test_a_refusal_that_nothing_can_overcome_ends_it(refusal: Reason) -> None:
    table = Table()
    table.fenced(A, None, refusal)
    assert table.over
    objection = table.evidence[0].objection
    assert objection is not None
    assert objection.reason is refusal
    assert objection.text.startswith("a: ")


def test_a_refusal_that_can_be_overcome_is_repeated_and_told_at_the_deadline() -> None:
    table = Table()
    table.out.clear()
    table.fenced(A, None, Reason.HYPERVISOR_ERROR, "libvirt says no")
    assert table.sent(Fence) == []
    table.wait(0.6)
    assert len(table.sent(Fence)) == 1
    table.wait(20.0)
    assert table.over
    objection = table.evidence[0].objection
    assert objection is not None
    assert objection.text == "libvirt says no"


def test_a_life_that_seems_too_young_is_asked_for_again_with_a_fresher_token_and_believed_the_third_time() -> None:
    table = Table()
    table.out.clear()
    for _ in range(MOST_YOUNG - 1):
        table.fenced(A, None, Reason.YOUNGER_LIFE)
        assert len(table.sent(Fence)) == 1
        table.wait(0.6)
        table.sent(Fence)
        assert not table.over
    table.fenced(A, None, Reason.YOUNGER_LIFE)
    assert table.over


def test_a_kill_that_proved_nothing_is_ordered_again_soon() -> None:
    table = Table()
    table.out.clear()
    table.fenced(A, replace(killed(), state=VmState.UNKNOWN, ended=None))
    assert table.sent(Fence) == []
    table.wait(0.2)
    assert len(table.sent(Fence)) == 1


def test_s12_the_requesters_leave_is_asked_directly_before_each_order() -> None:
    table = Table()
    table.refusal.append(Reason.REQUESTER_GONE)
    table.out.clear()
    table.wait(0.6)
    assert table.over
    assert table.sent(Fence) == []


def test_a_deadline_that_passes_during_the_last_tick_does_not_hide_who_was_silent() -> None:
    table = Table()
    table.wait(19.9)
    table.refusal.append(Reason.DEADLINE)
    table.do(table.machine.tick(table.now + 0.09))
    assert not table.over
    table.wait(0.2)
    assert table.over
    assert table.evidence[0].objection is None
    inquiry = table.evidence[0].inquiry
    assert inquiry is not None
    assert len(inquiry.silent) == 2


def test_s9_every_course_ends_at_its_deadline_and_says_who_was_silent() -> None:
    table = Table()
    table.wait(19.9)
    assert not table.over
    table.wait(0.2)
    assert table.over
    inquiry = table.evidence[0].inquiry
    assert inquiry is not None
    assert len(inquiry.silent) == 2
    assert "vm7 was last on a" in inquiry.silent[0]
    before = len(table.evidence)
    table.fenced(A, killed())
    table.wait(1.0)
    assert len(table.evidence) == before


# -- starts ----------


def test_s15_a_start_is_ordered_after_two_rounds_under_exclusive_guards_on_its_last_owner() -> None:
    table = Table(Action.ON, state=VmState.OFF)
    assert {each.purpose for each in table.sent(Guard)} == {Purpose.START}
    table.wait(0.6)
    table.deny(A, B)
    assert table.sent(Start) == []
    table.says(A, OFF, serial="s")
    table.says(B, OFF, serial="s")
    (order,) = table.sent(Start)
    assert (order.to, order.serial) == (A, "s")


def test_s4_a_start_ends_with_whatever_its_host_says() -> None:
    for seen, refusal, ok in ((runs(), None, True), (None, Reason.HYPERVISOR_ERROR, False)):
        table = Table(Action.ON, state=VmState.OFF)
        table.deny(A, B)
        table.deny(A, B)
        table.started(A, seen, refusal)
        assert table.over
        assert verdict.decide_on(table.request, table.evidence[0]).ok is ok


def test_a_start_that_is_not_answered_is_sent_again_as_the_same_one() -> None:
    table = Table(Action.ON, state=VmState.OFF)
    table.deny(A, B)
    table.deny(A, B)
    first = table.sent(Start)
    table.wait(0.6)
    again = table.sent(Start)
    assert (len(first), len(again)) == (1, 1)
    assert (first[0].serial, first[0].identity) == (again[0].serial, again[0].identity)


def test_what_runs_already_is_found_running() -> None:
    table = Table(Action.ON, state=VmState.RUNNING)
    table.says(A, RUNNING)
    assert table.over
    outcome = verdict.decide_on(table.request, table.evidence[0])
    assert (outcome.ok, outcome.reason) == (True, Reason.ALREADY_ON)


def test_s15_an_image_on_the_host_where_it_is_to_start_is_given_up_and_one_elsewhere_is_not() -> None:
    saved = replace(OFF, state=VmState.SAVED)
    table = Table(Action.ON, state=VmState.OFF)
    table.says(A, saved)
    table.deny(B)
    assert table.guard_of(A).round == 2
    table = Table(Action.ON, state=VmState.OFF)
    table.says(B, saved)
    table.deny(A)
    assert table.guard_of(A).round == 1


def test_s12_a_life_for_whose_age_nobody_vouches_is_not_named_as_old() -> None:
    table = Table()
    table.says(A, RUNNING)
    table.wait(0.6)
    assert {each.lives for each in table.sent(Fence)} == {()}
