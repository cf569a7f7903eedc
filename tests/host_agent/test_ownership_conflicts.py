"""Who has which VM once a daemon has started again, or two machines go by one name; and what is known of the past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.effects import HostPicture
from fencebus_host.ownership import Past
from fencebus_schemas.model import VmState
from fencebus_schemas.peer import EVERYONE, Fetch, Forget, Forgotten
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
    meet,
    record,
)

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
