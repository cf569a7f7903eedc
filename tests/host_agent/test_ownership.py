"""Who has which VM, from what hosts say of themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.effects import HostPicture, MemberSeen, VmChanged
from fencebus_host.ownership import FEW, HEARTBEAT, SILENT_AFTER, Heard, Ownership, Past
from fencebus_schemas.model import HostId, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Change, Fetch, Forget, Forgotten, Inventory
from tests.host_agent.federated_words import (
    OTHER,
    VM,
    A,
    B,
    C,
    hear,
    host,
    incarnation,
    meet,
    record,
    settle,
    vm_number,
)

NOTHING = Heard()


def acquainted(state: VmState = VmState.RUNNING) -> tuple[Ownership, Ownership]:
    """Two hosts that know each other; the second has the VM."""
    here, there = host(A), host(B)
    there.own_inventory([record(B, state=state)], 0.0)
    meet(here, there, 0.0)
    return here, there


def change(there: Ownership, state: VmState, now: float = 1.0) -> Change:
    [message] = there.own_change(record(B, state=state), False, now).replies
    assert isinstance(message, Change)
    return message


def claiming(ownership: Ownership) -> list[HostId]:
    return [each.host for each in ownership.claimants(VM)]


# -- getting to know each other ----------


def test_an_unknown_host_is_a_member_at_once_written_down_and_asked_for_all_it_has() -> None:
    here, there = host(A), host(B)
    heard = here.announce_heard(there.announce("token"), 0.0)
    assert heard.replies == (Fetch(A, incarnation(A), B),)
    assert heard.keep == (MemberSeen(B),)
    assert here.members == {A, B}
    assert here.quote(B) == ("token", incarnation(B))


def test_nobody_answers_an_announce_of_his_own() -> None:
    here = host(A)
    assert here.announce_heard(here.announce("token"), 0.0) == NOTHING
    assert here.quote(A) == ("token", incarnation(A))
    assert here.members == {A}


def test_what_is_fetched_is_known_and_written_down() -> None:
    here, there = host(A), host(B)
    there.own_inventory([record(B)], 0.0)
    [answer] = there.fetch_heard(Fetch(A, incarnation(A), B), 0.0).replies
    heard = hear(here, answer, 0.0)
    assert heard.keep == (MemberSeen(B), HostPicture(B, incarnation(B), 1, (record(B),)))
    assert heard.changed == {VM}
    assert here.claimants(VM) == (record(B),)
    assert here.named("vm") == {VM}
    assert list(here.everything()) == [record(B)]


def test_hosts_that_know_each_other_only_announce() -> None:
    here, there = acquainted()
    assert here.announce_heard(there.announce("t"), 9.0) == there.announce_heard(here.announce("t"), 9.0) == NOTHING


def test_a_fetch_is_not_repeated_within_a_second_unless_it_was_answered() -> None:
    here, there = host(A), host(B)
    announce = there.announce("t")
    asked = [bool(here.announce_heard(announce, now).replies) for now in (0.0, 0.5, 1.0, 1.9)]
    assert asked == [True, False, True, False]
    here.inventory_heard(there.inventory_for(A), 1.95)
    there.own_change(record(B), False, 1.95)
    assert here.announce_heard(there.announce("t"), 1.96).replies


def test_a_fetch_for_another_host_is_not_ours_to_answer() -> None:
    here = host(A)
    assert here.fetch_heard(Fetch(B, incarnation(B), C), 0.0).replies == ()
    assert here.fetch_heard(Fetch(B, incarnation(B), EVERYONE), 0.0).replies == (here.inventory_for(B),)
    assert here.fetch_heard(Fetch(A, incarnation(A), A), 0.0) == NOTHING


def test_other_member_lists_are_fetched_until_they_are_the_same() -> None:
    here, there = acquainted()
    there.announce_heard(host(C).announce("t"), 1.0)
    assert here.announce_heard(there.announce("t"), 2.0).replies
    here.inventory_heard(there.inventory_for(A), 2.0)
    assert here.members == {A, B, C}
    assert here.announce_heard(there.announce("t"), 3.0) == NOTHING


def test_a_sign_of_life_is_every_message_and_every_answer() -> None:
    here, there = acquainted()
    here.token_heard(B, incarnation(B), "newer", 20.0)
    assert (here.heard_ago(B, 21.0), here.quote(B)[0]) == (1.0, "newer")
    here.change_heard(change(there, VmState.PAUSED), 30.0)
    assert here.heard_ago(B, 30.0) == 0.0
    here.token_heard(A, incarnation(A), "own", 30.0)
    assert here.quote(A) == ("own", incarnation(A))


# -- changes ----------


def test_a_change_that_follows_is_believed_and_nothing_is_asked() -> None:
    here, there = acquainted()
    message = change(there, VmState.OFF)
    assert here.change_heard(message, 1.0) == Heard((), (VmChanged(B, 2, message.record, False),), frozenset((VM,)))
    assert claiming(here) == []
    assert [each.state for each in here.known(VM)] == [VmState.OFF]


def test_a_vm_that_its_host_does_not_know_any_more_is_gone() -> None:
    here, there = acquainted()
    [message] = there.own_change(record(B), True, 1.0).replies
    assert hear(here, message, 1.0).changed == {VM}
    assert here.known(VM) == there.known(VM) == ()


def test_a_change_that_was_heard_before_alters_nothing() -> None:
    here, there = acquainted()
    first, second = change(there, VmState.OFF), change(there, VmState.RUNNING)
    here.change_heard(first, 1.0)
    here.change_heard(second, 1.0)
    assert here.change_heard(first, 1.0) == here.change_heard(second, 1.0) == NOTHING
    assert claiming(here) == [B]


def test_after_a_gap_all_is_fetched_and_no_denial_is_believed() -> None:
    here, there = acquainted()
    change(there, VmState.PAUSED)
    heard = here.change_heard(change(there, VmState.OFF), 1.0)
    assert heard == Heard((Fetch(A, incarnation(A), B),))
    assert claiming(here) == [B]


def test_after_a_gap_a_claim_is_believed_at_once() -> None:
    here, there = acquainted(VmState.OFF)
    change(there, VmState.OFF)
    heard = here.change_heard(change(there, VmState.RUNNING), 1.0)
    assert (heard.replies, heard.changed) == ((Fetch(A, incarnation(A), B),), frozenset((VM,)))
    assert heard.keep == (VmChanged(B, 1, record(B), False),)
    assert claiming(here) == [B]


def test_a_change_of_a_host_whose_inventory_is_not_known_is_a_claim_and_a_question() -> None:
    here, there = host(A), host(B)
    heard = here.change_heard(change(there, VmState.RUNNING), 0.0)
    assert (claiming(here), heard.replies) == ([B], (Fetch(A, incarnation(A), B),))
    assert here.change_heard(change(there, VmState.OFF), 0.5).replies == ()
    assert claiming(here) == [B]
    here.inventory_heard(there.inventory_for(A), 1.0)
    assert claiming(here) == []


def test_a_change_whose_digest_is_not_what_it_should_be_is_followed_by_a_question() -> None:
    here, there = acquainted()
    message = replace(change(there, VmState.OFF), digest="another")
    heard = here.change_heard(message, 1.0)
    assert (heard.changed, heard.replies) == (frozenset((VM,)), (Fetch(A, incarnation(A), B),))


@pytest.mark.parametrize(
    "forged", (record(C, OTHER), replace(record(B, OTHER), host=C), replace(record(C, OTHER), host=B))
)
def test_a_host_speaks_for_itself_alone(forged: VmRecord) -> None:
    here, there = acquainted()
    message = change(there, VmState.RUNNING)
    here.change_heard(replace(message, generation=3, record=forged), 1.0)
    assert here.claimants(OTHER) == (record(B, OTHER),)


def test_after_a_gap_a_vm_that_is_gone_is_no_claim() -> None:
    here, there = acquainted()
    change(there, VmState.RUNNING)
    [message] = there.own_change(record(B, OTHER), True, 1.0).replies
    assert hear(here, message, 1.0).replies == (Fetch(A, incarnation(A), B),)
    assert here.known(OTHER) == ()


def test_an_inventory_that_was_overtaken_by_changes_alters_nothing() -> None:
    here, there = acquainted()
    late = there.inventory_for(A)
    here.change_heard(change(there, VmState.OFF), 1.0)
    assert here.inventory_heard(late, 2.0) == NOTHING
    assert claiming(here) == []


def test_a_question_follows_no_change_that_an_inventory_has_overtaken() -> None:
    here, there = acquainted()
    late = change(there, VmState.PAUSED)
    change(there, VmState.RUNNING)
    here.inventory_heard(there.inventory_for(A), 1.0)
    assert here.change_heard(late, 2.0) == NOTHING


def test_s3_two_hosts_that_claim_a_vm_are_two_claimants() -> None:
    here, _ = acquainted()
    here.own_inventory([record(A)], 1.0)
    assert claiming(here) == [A, B]


def test_s15_the_last_owner_is_told_only_if_it_is_a_member() -> None:
    here, there = acquainted()
    here.change_heard(change(there, VmState.OFF), 1.0)
    assert here.last_owner(VM) == B
    here.forget(B, 2.0)
    assert here.last_owner(VM) is None


# -- restarts and twins ----------


def test_the_claims_of_a_restarted_daemon_stay_until_its_inventory_has_come() -> None:
    here, _ = acquainted()
    again = host(B, start=2)
    assert here.announce_heard(again.announce("t"), 10.0).replies == (Fetch(A, incarnation(A), B),)
    assert claiming(here) == [B]
    again.own_inventory([record(B, OTHER)], 10.0)
    assert here.inventory_heard(again.inventory_for(A), 11.0).changed == {VM, OTHER}
    assert claiming(here) == []


def test_a_restarted_daemon_is_asked_anew_even_if_it_has_what_the_former_had() -> None:
    here, there = acquainted()
    again = host(B, start=2)
    again.own_inventory([record(B)], 10.0)
    assert again.announce("t").digest == there.announce("t").digest
    assert here.announce_heard(again.announce("t"), 10.0).replies == (Fetch(A, incarnation(A), B),)


@pytest.mark.parametrize("generation", (1, 2, 3, 9))
def test_the_changes_of_a_restarted_daemon_are_not_measured_by_the_generations_of_the_former(generation: int) -> None:
    here, there = acquainted()
    here.change_heard(change(there, VmState.RUNNING), 1.0)
    message = replace(change(host(B, start=2), VmState.OFF), generation=generation)
    assert here.change_heard(message, 10.0).replies == (Fetch(A, incarnation(A), B),)
    assert claiming(here) == [B]


def test_a_change_of_a_restarted_daemon_does_not_follow_on_what_the_former_said() -> None:
    here, _ = acquainted()
    again = host(B, start=2)
    message = replace(change(again, VmState.OFF), generation=2)
    assert here.change_heard(message, 10.0).replies == (Fetch(A, incarnation(A), B),)
    assert claiming(here) == [B]


def twin_of_b() -> Ownership:
    return Ownership(B, incarnation(B, machine="another machine"))


def test_two_machines_under_one_name_are_a_conflict_and_both_their_claims_count() -> None:
    here, there = acquainted()
    twin = twin_of_b()
    twin.own_inventory([record(B, OTHER)], 0.0)
    here.announce_heard(twin.announce("t"), 1.0)
    assert here.conflicts(1.0) == {B}
    here.inventory_heard(twin.inventory_for(A), 1.0)
    assert (len(here.claimants(VM)), len(here.claimants(OTHER))) == (1, 1)
    here.inventory_heard(there.inventory_for(A), 2.0)
    assert (len(here.claimants(VM)), len(here.claimants(OTHER))) == (1, 1)


def test_the_first_inventory_under_a_name_may_already_be_a_twins() -> None:
    here, there = host(A), host(B)
    here.announce_heard(there.announce("t"), 0.0)
    here.inventory_heard(twin_of_b().inventory_for(A), 1.0)
    assert (here.conflicts(1.0), list(here.everything())) == (frozenset((B,)), [])


def test_a_minute_after_the_last_word_of_the_one_only_the_claims_of_the_other_count() -> None:
    here, _ = acquainted()
    twin = twin_of_b()
    meet(here, twin, 10.0)
    assert claiming(here) == [B]
    meet(here, twin, 61.0)
    assert (here.conflicts(61.0), claiming(here)) == (frozenset(), [])


def test_another_machine_under_our_own_name_is_a_conflict_that_gets_no_answer_and_leaves_our_own_alone() -> None:
    here = host(B)
    here.own_inventory([record(B)], 0.0)
    twin = twin_of_b()
    twin.own_inventory([record(B, OTHER)], 0.0)
    messages = (twin.announce("t"), twin.inventory_for(EVERYONE), change(twin, VmState.OFF))
    others = (Forget(B, twin._incarnation, EVERYONE, (Forgotten(C, 1),)), Fetch(B, twin._incarnation, EVERYONE))
    assert [hear(here, message, 1.0) for message in (*messages, *others)] == [NOTHING] * 5
    assert here.conflicts(1.0) == {B}
    assert list(here.everything()) == [record(B)]
    assert here.quote(B) == ("", incarnation(B))


# -- members ----------


def test_s2_an_empty_state_folder_knows_no_members_until_another_has_told() -> None:
    here, there = host(A), host(B)
    here.announce_heard(there.announce("t"), 0.0)
    assert not here.synced
    assert not here.members_told((A,), (), 0.0).keep
    assert not here.synced
    here.inventory_heard(there.inventory_for(A), 0.0)
    assert here.synced
    here.members_told((A,), (), 0.0)
    assert here.synced


def test_s2_who_has_hosts_configured_or_a_state_folder_knows_members_from_the_start() -> None:
    assert host(A, frozenset((B,))).synced
    assert host(A, past=Past((A, B))).synced
    assert not host(A, past=Past((A,))).synced
    assert host(A, frozenset((B,))).configured == {B}


def test_forgetting_goes_out_to_everyone_and_takes_the_hosts_claims_away() -> None:
    here, _ = acquainted()
    heard = here.forget(B, 1.0)
    assert heard.replies == (Forget(A, incarnation(A), EVERYONE, (Forgotten(B, 1),)),)
    assert (heard.keep, heard.changed) == ((Forgotten(B, 1),), frozenset((VM,)))
    assert (here.members, claiming(here), here.forgotten) == (frozenset((A,)), [], (Forgotten(B, 1),))
    assert here.forget(B, 1.0) == here.forget(A, 1.0) == NOTHING


def test_forgetting_on_one_host_only_spreads_by_the_members_digest() -> None:
    hosts = [host(name) for name in (A, B, C)]
    settle(hosts, 0.0)
    gone = HostId("gone")
    hosts[2].members_told((gone,), (), 1.0)
    settle(hosts, 10.0)
    assert all(gone in each.members for each in hosts)
    hosts[0].forget(gone, 20.0)
    settle(hosts, 30.0)
    assert all(each.members == {A, B, C} for each in hosts)


def test_a_forget_that_is_heard_counts_and_is_not_sent_on() -> None:
    here, there = acquainted()
    here.members_told((C,), (), 0.0)
    heard = here.forget_heard(Forget(B, incarnation(B), A, (Forgotten(C, 1),)), 1.0)
    assert heard == Heard((), (Forgotten(C, 1),))
    assert there.members == {A, B}


def test_words_of_a_forgotten_host_that_were_on_their_way_bring_no_claims_back() -> None:
    here, there = acquainted()
    here.forget(B, 1.0)
    here.change_heard(change(there, VmState.RUNNING), 1.1)
    here.inventory_heard(there.inventory_for(A), 1.2)
    assert (claiming(here), here.members) == ([], frozenset((A,)))


def test_a_forgotten_host_that_announces_itself_is_a_member_again() -> None:
    here, there = acquainted()
    here.forget(B, 1.0)
    heard = here.announce_heard(there.announce("t"), 9.0)
    assert heard.keep == (Forgotten(B, 2, True),)
    forget, fetch = heard.replies
    assert forget == Forget(A, incarnation(A), EVERYONE, (Forgotten(B, 2, True),))
    assert fetch == Fetch(A, incarnation(A), B)
    assert here.members == {A, B}


def test_a_host_that_hears_that_it_was_forgotten_objects() -> None:
    here, there = acquainted()
    [message] = here.forget(B, 1.0).replies
    heard = hear(there, message, 1.0)
    assert heard.keep == (Forgotten(B, 1), Forgotten(B, 2, True))
    assert heard.replies == (Forget(B, incarnation(B), EVERYONE, (Forgotten(B, 2, True),)),)
    hear(here, heard.replies[0], 1.0)
    assert here.members == there.members == {A, B}


# -- what a host has itself ----------


def test_the_first_reading_of_many_vms_is_told_as_a_whole_and_few_differences_one_by_one() -> None:
    here = host(A)
    many = [record(A, vm_number(number)) for number in range(FEW + 1)]
    first = here.own_inventory(many, 0.0)
    assert first.replies == (here.inventory_for(EVERYONE),)
    assert first.keep == (HostPicture(A, incarnation(A), 1, tuple(many)),)
    assert len(first.changed) == FEW + 1
    second = here.own_inventory([replace(many[0], state=VmState.OFF), *many[2:]], 1.0)
    told = [(each.generation, each.record.uuid, each.gone) for each in second.replies if isinstance(each, Change)]
    assert told == [(2, many[1].uuid, True), (3, many[0].uuid, False)]
    assert second.changed == {many[0].uuid, many[1].uuid}
    assert here.own_inventory([replace(many[0], state=VmState.OFF), *many[2:]], 2.0) == NOTHING


@pytest.mark.parametrize(("count", "messages"), ((FEW, FEW), (FEW + 1, 1)))
def test_so_few_differences_are_told_one_by_one(count: int, messages: int) -> None:
    heard = host(A).own_inventory([record(A, vm_number(number)) for number in range(count)], 0.0)
    assert (len(heard.replies), len(heard.changed)) == (messages, count)


def test_what_a_host_tells_of_itself_bears_its_own_name_and_incarnation() -> None:
    here = host(A)
    [message] = here.own_change(record(C), False, 0.0).replies
    assert isinstance(message, Change)
    assert (message.record.host, message.record.incarnation) == (A, incarnation(A))
    here.own_inventory([record(C, OTHER)], 0.0)
    assert {(each.host, each.incarnation) for each in here.everything()} == {(A, incarnation(A))}


def test_whoever_follows_the_changes_has_the_same_digest_as_who_fetches_all() -> None:
    here, there = acquainted()
    for state in (VmState.PAUSED, VmState.SAVED, VmState.OFF, VmState.RUNNING):
        here.change_heard(change(there, state), 1.0)
    assert here.announce_heard(there.announce("t"), 2.0) == NOTHING


# -- the past ----------


def test_a_host_that_starts_again_still_knows_what_a_dead_host_ran() -> None:
    pictures = (HostPicture(B, incarnation(B), 4, (record(B),)), HostPicture(C, incarnation(C), 1, (record(C, OTHER),)))
    here = host(A, past=Past((A, B, C), (Forgotten(C, 1),), pictures, ((VM, B), (OTHER, C))))
    assert (here.members, here.member_list) == (
        frozenset(
            (
                A,
                B,
            )
        ),
        (A, B),
    )
    assert (claiming(here), here.claimants(OTHER)) == ([B], ())
    assert (here.last_owner(VM), here.last_owner(OTHER)) == (B, None)
    assert here.is_silent(B, 0.0)


def test_s15_who_last_had_a_vm_that_is_off_is_known_after_a_restart() -> None:
    off = HostPicture(B, incarnation(B), 4, (record(B, state=VmState.OFF),))
    assert host(A, past=Past((A, B), (), (off,), ((VM, B),))).last_owner(VM) == B
    assert host(A, past=Past((A, B), (), (off,))).last_owner(VM) is None


def test_what_this_host_had_itself_stands_until_its_hypervisor_was_read() -> None:
    here = host(A, past=Past((A,), (), (HostPicture(A, incarnation(A, 0), 7, (record(A),)),)))
    assert [each.incarnation for each in here.claimants(VM)] == [incarnation(A)]
    assert here.announce("t").generation == 0
    assert here.own_inventory([], 0.0).changed == {VM}
    assert here.known(VM) == ()


def test_after_a_restart_an_unchanged_host_need_not_be_fetched_again() -> None:
    before, there = acquainted()
    kept = HostPicture(B, incarnation(B), 1, (record(B),))
    here = host(A, past=Past(before.member_list, (), (kept,)), start=2)
    assert here.announce_heard(there.announce("t"), 0.0) == NOTHING


# -- words for people ----------


@pytest.mark.parametrize(
    ("now", "text"),
    (
        (1.0, "vm was last on b, which has not answered"),
        (SILENT_AFTER, "vm was last on b, which has not answered"),
        (22.0, "vm was last on b, which has been silent for 22 s and is not proven fenced"),
    ),
)
def test_it_is_said_precisely_of_a_member_that_did_not_answer_what_is_missing(now: float, text: str) -> None:
    here, _ = acquainted()
    assert here.last_word(VM, B, now) == text


def test_of_a_member_that_is_not_known_to_have_the_vm_only_its_silence_is_told() -> None:
    here, _ = acquainted()
    here.members_told((C,), (), 0.0)
    assert here.last_word(VM, C, 1.0) == "c has not been heard since this daemon started and is not proven fenced"
    assert here.last_word(OTHER, B, 1.0) == "b has not answered"


def test_a_host_is_silent_after_three_heartbeats() -> None:
    here, _ = acquainted()
    assert SILENT_AFTER == 3 * HEARTBEAT
    assert [here.is_silent(B, now) for now in (0.0, 15.0, 15.1)] == [False, False, True]
    assert not here.is_silent(A, 1000.0)
    assert here.is_silent(C, 0.0)


def test_an_inventory_has_members_and_records() -> None:
    here, there = acquainted()
    inventory = there.inventory_for(A)
    assert inventory == Inventory(B, incarnation(B), A, 1, there.announce("").digest, (record(B),), (A, B), ())
    assert inventory.digest == there.announce("").digest
    assert here.members_digest == there.members_digest


def test_s8_of_a_member_whose_vms_nobody_has_read_any_name_may_be() -> None:
    here, there = host(A), host(B)
    assert here.unread(0.0) == ("whoever else there is",)
    here.members_told((B, C), (), 0.0)
    assert here.unread(0.0) == (B, C)
    here.inventory_heard(there.inventory_for(A), 1.0)
    assert here.unread(1.0) == (C,)
    here.announce_heard(twin_of_b().announce("t"), 2.0)
    assert here.unread(2.0) == (B, C)


def test_s8_who_has_hosts_configured_waits_for_each_of_them() -> None:
    assert host(A, frozenset((A, B))).unread(0.0) == (B,)
    assert host(A, frozenset((A,))).unread(0.0) == ()
