"""Who has which VM, from what hosts say of themselves: acquaintance, changes, and what a host has itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.effects import HostPicture, MemberSeen, VmChanged
from fencebus_host.ownership import FEW, Heard
from fencebus_schemas.model import VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Change, Fetch
from tests.host_agent.acquainted import NOTHING, acquainted, change, claiming
from tests.host_agent.federated_words import (
    OTHER,
    VM,
    A,
    B,
    C,
    hear,
    host,
    incarnation,
    record,
    vm_number,
)

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
