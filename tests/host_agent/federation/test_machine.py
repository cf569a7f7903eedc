"""The parts of a host as one machine: what is for whom, what never leaves it, what it forgets."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.effects import Deed, Keep, Look, MemberSeen, Send
from fencebus_host.federation.machine import HEARTBEAT, UNWATCHED
from fencebus_schemas.model import Action, FenceOutcome, HostId, Reason, VmState
from fencebus_schemas.peer import (
    EVERYONE,
    Announce,
    Change,
    Confirm,
    Confirmed,
    Fetch,
    Forget,
    Forgotten,
    Guard,
    GuardAnswer,
    Inventory,
    Lift,
    Outcome,
)
from tests.host_agent.federation.courses import A, B, Table, incarnation, killed
from tests.host_agent.federation.words import ME, MINE, OFF, ONE, RUNNING, TWO, VM, guard, quote


def test_what_the_host_says_to_itself_never_leaves_it() -> None:
    table = Table()
    assert ME not in {each.to for each in table.out}
    table.deny(A, B)  # and it has denied itself, or no second round would begin
    assert table.guard_of(A).round == 2


def test_an_echo_and_what_is_for_another_host_are_nothing() -> None:
    table = Table()
    announce = Announce(ME, MINE, EVERYONE, 1, "", "", "t")
    assert table.machine.received(announce, table.now) == []
    other = Announce(HostId("new"), incarnation(HostId("new")), B, 1, "", "", "t")
    assert table.machine.received(other, table.now) == []
    assert table.machine.received(replace(other, to=ME), table.now)


def test_an_announce_goes_out_at_once_and_then_with_each_heartbeat() -> None:
    table = Table(state=VmState.OFF)
    table.wait(0.1)
    assert len(table.sent(Announce)) == 1
    table.wait(HEARTBEAT - 0.2)
    assert table.sent(Announce) == []
    table.wait(0.3)
    assert len(table.sent(Announce)) == 1


def test_being_connected_is_told_at_once_and_counts_as_a_heartbeat() -> None:
    table = Table()
    (effect,) = [each for each in table.machine.connected(table.now) if isinstance(each, Send)]
    assert isinstance(effect.message, Announce)
    table.wait(1.0)
    assert table.sent(Announce) == []


def test_a_host_is_busy_while_a_request_that_entered_here_is_under_way() -> None:
    table = Table()
    assert table.machine.is_busy
    table.deny(B)
    table.fenced(A, killed())
    assert not table.machine.is_busy


def test_s1_an_answer_for_another_request_is_a_sign_of_life_and_nothing_else() -> None:
    table = Table(state=VmState.OFF)
    table.now += 20.0
    message = GuardAnswer(A, incarnation(A), ME, TWO, 1, 0.0, "token-x", "s", RUNNING)
    assert table.machine.received(message, table.now) == []
    assert table.ownership.quote(A)[0] == "token-x"
    assert not table.ownership.is_silent(A, table.now)


def test_the_members_of_an_answer_are_learnt_and_kept() -> None:
    table = Table()
    answer = GuardAnswer(A, incarnation(A), ME, TWO, 1, 0.0, "t", "s", OFF, members=(A, B, HostId("c")))
    effects = table.machine.received(answer, table.now)
    assert [each.record for each in effects if isinstance(each, Keep)] == [MemberSeen(HostId("c"))]
    assert all(each.job == UNWATCHED for each in effects if isinstance(each, Keep))
    assert HostId("c") in table.ownership.members


def test_nobody_waits_for_what_is_kept_of_others() -> None:
    table = Table()
    assert table.machine.kept(UNWATCHED, False, table.now) == []


def test_s7_an_outcome_is_known_for_as_long_as_its_patience_and_no_longer() -> None:
    table = Table()
    table.hear(Outcome(A, incarnation(A), EVERYONE, TWO, "theirs", True, Reason.PROVEN_OFF, "", 5.0))
    known = table.machine.recall("theirs", table.now + 4.9)
    assert known is not None
    assert known.ok
    assert table.machine.recall("theirs", table.now + 5.0) is None
    assert table.machine.recall("other", table.now) is None
    table.wait(5.1)
    assert table.machine.recall("theirs", table.now - 5.1) is None


def test_s7_a_verdict_spreads_with_the_requests_identity() -> None:
    outcome = FenceOutcome(ONE, False, Reason.DENIED, (), "no")
    (effect,) = Table().machine.settled("identity", outcome, 7.0)
    assert isinstance(effect, Send)
    assert effect.message == Outcome(ME, MINE, EVERYONE, ONE, "identity", False, Reason.DENIED, "no", 7.0)


def test_a_command_of_another_host_is_answered_to_it() -> None:
    table = Table()
    effects = table.machine.received(guard(quote("strange"), TWO), table.now)
    (answer,) = [each.message for each in effects if isinstance(each, Send)]
    assert isinstance(answer, GuardAnswer)
    good = replace(guard(quote(answer.token), TWO), sender=A, incarnation=incarnation(A))
    (look,) = table.machine.received(good, table.now)
    assert isinstance(look, Look)
    (told,) = [each.message for each in table.machine.looked(look.job, OFF, table.now) if isinstance(each, Send)]
    assert isinstance(told, GuardAnswer)
    assert (told.to, told.sight, bool(told.serial)) == (A, OFF, True)


def test_s16_a_guest_of_this_host_is_known_by_its_claims_here_alone() -> None:
    table = Table()
    assert not table.machine._hosts(VM)
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    table.do(table.machine.vm_changed(record, False, table.now))
    assert table.machine._hosts(VM)
    (change,) = table.sent(Change)
    assert (change.record.host, change.gone) == (ME, False)


def test_a_vm_that_the_hypervisor_does_not_know_any_more_is_told_to_be_gone_if_it_was_here() -> None:
    table = Table()
    assert table.machine.vm_read(VM, None, table.now) == []
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    table.do(table.machine.vm_read(VM, record, table.now))
    table.do(table.machine.vm_read(VM, None, table.now))
    assert [each.gone for each in table.sent(Change)] == [False, True]


def test_a_whole_inventory_is_told_and_a_question_for_it_answered() -> None:
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    table.do(table.machine.inventory([record], table.now))
    assert len(table.sent(Change)) == 1
    table.hear(Fetch(A, incarnation(A), ME))
    (inventory,) = table.sent(Inventory)
    assert inventory.records == (record,)


def test_an_event_under_a_guard_is_looked_into() -> None:
    table = Table()
    (look,) = table.machine.changed(VM, table.now)
    assert isinstance(look, Look)


def test_the_end_of_a_course_lifts_the_guards_of_all() -> None:
    table = Table(Action.OFF, state=VmState.OFF)
    for _ in range(2):
        table.deny(A, B)
    assert {each.to for each in table.sent(Lift)} == {A, B}
    table.out.clear()
    table.wait(1.0)
    assert table.sent(Guard) == []


def test_forgetting_goes_through_the_machine() -> None:
    table = Table()
    table.ownership.members_told((HostId("gone"),), (), table.now)
    table.do(table.machine.forget(HostId("gone"), table.now))
    assert HostId("gone") not in table.ownership.members


def test_a_twin_under_our_own_name_is_heard_and_our_own_echo_is_not() -> None:
    table = Table()
    table.machine.received(Announce(ME, MINE, EVERYONE, 1, "", "", "echo"), table.now)
    assert table.ownership.quote(ME)[0] != "echo"
    assert table.ownership.conflicts(table.now) == frozenset()
    table.machine.received(Announce(ME, incarnation(B), EVERYONE, 1, "", "", "t"), table.now)
    assert table.ownership.conflicts(table.now) == {ME}


def test_what_operators_said_elsewhere_is_learnt() -> None:
    table = Table()
    table.ownership.members_told((HostId("gone"),), (), table.now)
    table.hear(Forget(A, incarnation(A), EVERYONE, (Forgotten(HostId("gone"), 1),)))
    assert HostId("gone") not in table.ownership.members
    confirmed = Confirmed(B, 1, incarnation(B), "root", "noon")
    table.hear(Confirm(A, incarnation(A), EVERYONE, (confirmed,)))
    assert table.ownership.confirmations.standing(B) == confirmed


def test_outcomes_are_forgotten_when_their_patience_is_over_and_not_before() -> None:
    table = Table()
    table.hear(Outcome(A, incarnation(A), EVERYONE, TWO, "theirs", True, Reason.PROVEN_OFF, "", 5.0))
    table.machine.tick(table.now + 4.9)
    assert "theirs" in table.machine._settled
    table.machine.tick(table.now + 5.0)
    assert table.machine._settled == {}


def test_what_the_disk_remembers_and_the_carrier_knows_reaches_its_part() -> None:
    table = Table()
    table.machine.remember([Deed("old", TWO, killed(), boot=False)])
    assert "old/fence" in table.machine._member._deeds
    table.machine.departed(A)
    assert table.ownership.is_silent(A, table.now)
    table.machine.quorum(False)
    assert not table.ownership.quorate
    assert (HEARTBEAT, UNWATCHED) == (5.0, 0)


def test_guards_that_nobody_renews_are_forgotten_as_time_passes() -> None:
    table = Table(state=VmState.OFF)
    look = table.machine.received(
        replace(guard(quote(table.machine._tokens.fresh(table.now)), TWO), sender=A, incarnation=incarnation(A)),
        table.now,
    )
    assert look
    held = table.machine._member._guards._held
    assert TWO in held[VM]
    table.machine.tick(table.now + 3.0)
    assert TWO not in held[VM]


def test_a_host_asks_itself_with_its_newest_token_so_that_it_does_not_refuse_itself_first() -> None:
    table = Table()
    (course,) = table.machine._courses.values()
    assert course._progress.asked_anew == {}
    table.says(A, None, refusal=Reason.STALE_COMMAND, token="newer")
    assert course._progress.asked_anew == {A: table.now}


def test_what_this_daemon_has_told_of_a_vm_it_tells_once_and_each_difference_of_it_too() -> None:
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    elsewhere, paused = replace(record, hypervisor="other"), replace(record, state=VmState.PAUSED)
    for each in (record, record, elsewhere, paused, paused):
        table.do(table.machine.vm_changed(each, False, table.now))
    assert [each.record for each in table.sent(Change)] == [record, elsewhere, paused]


def test_what_is_known_of_the_daemon_before_this_one_is_told_anew() -> None:
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    table.ownership._catalogue.replace(ME, incarnation(ME), 7, [replace(record, incarnation=incarnation(ME))])
    table.do(table.machine.vm_changed(record, False, table.now))
    assert [each.record for each in table.sent(Change)] == [record]
