"""Which hosts have to be asked for a VM, who is no host any more, and what is said of those that do not answer."""

from __future__ import annotations

import pytest

from fencebus_host.ownership import HEARTBEAT, SILENT_AFTER, Heard, Past
from fencebus_schemas.model import HostId, VmState
from fencebus_schemas.peer import EVERYONE, Fetch, Forget, Forgotten, Inventory
from tests.host_agent.acquainted import NOTHING, acquainted, change, claiming, twin_of_b
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
    settle,
)

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
