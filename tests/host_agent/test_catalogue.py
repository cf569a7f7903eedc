"""What hosts have, found by host, VM and name, and the digest that a change moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.catalogue import Catalogue, Index
from fencebus_host.holdings import Holdings, says
from fencebus_schemas.model import HostId, VmRecord, VmState
from tests.host_agent.federated_words import OTHER, VM, A, B, incarnation, record, vm_number

vms = st.sampled_from([vm_number(number) for number in range(4)])
names = st.sampled_from(("vm", "other", "third"))
places = st.sampled_from(("", "qemu:///session"))
some = st.builds(record, st.just(A), vms, st.sampled_from(VmState), names, places)
lists = st.lists(some, max_size=8)
keys = st.sampled_from("abc")


def holdings(records: Sequence[VmRecord]) -> Holdings:
    return Holdings(incarnation(A), 1, records)


def told(records: Sequence[VmRecord]) -> set[tuple[str | None, ...]]:
    return {says(each) for each in records}


@given(lists, lists)
def test_digests_are_equal_if_and_only_if_the_inventories_are(one: list[VmRecord], two: list[VmRecord]) -> None:
    first, second = holdings(one), holdings(two)
    assert (first.digest == second.digest) == (told(list(first)) == told(list(second)))


@given(lists)
def test_the_digest_does_not_hang_on_the_way_that_led_there(records: list[VmRecord]) -> None:
    wandering = holdings([])
    for each in records:
        wandering.put(replace(each, name="before"))
        wandering.put(each)
    fresh = holdings(list(wandering))
    assert wandering.digest == fresh.digest
    for each in list(wandering):
        wandering.drop(each)
        wandering.drop(each)
    assert wandering.digest == holdings([]).digest


def test_a_label_is_part_of_what_is_said_and_none_is_not_an_empty_one() -> None:
    bare = record(A)
    assert len({holdings([replace(bare, cluster=label)]).digest for label in (None, "", "None")}) == 3


def test_one_vm_on_two_hypervisors_has_two_records() -> None:
    here, there = record(A), record(A, state=VmState.OFF, hypervisor="qemu:///session")
    both = holdings([here, there])
    assert both.of(VM) == (here, there)
    both.drop(here)
    assert both.of(VM) == (there,)


@given(st.lists(st.tuples(st.booleans(), keys, keys)))
def test_an_index_holds_what_was_added_and_not_taken_away(acts: list[tuple[bool, str, str]]) -> None:
    index: Index[str, str] = Index()
    model: dict[str, set[str]] = {}
    for adds, key, value in acts:
        if adds:
            index.add(key, value)
            model.setdefault(key, set()).add(value)
        else:
            index.discard(key, value)
            model.get(key, set()).discard(value)
    assert all(set(index.of(key)) == model.get(key, set()) for key in "abc")
    assert all(len(index.of(key)) == len(set(index.of(key))) for key in "abc")


def filled() -> Catalogue:
    catalogue = Catalogue()
    catalogue.replace(A, incarnation(A), 1, (record(A), record(A, OTHER, name="other")))
    catalogue.replace(B, incarnation(B), 1, (record(B, state=VmState.OFF),))
    return catalogue


def test_a_vm_is_found_on_every_host_that_knows_it_in_the_order_of_the_hosts() -> None:
    assert filled().known(VM) == (record(A), record(B, state=VmState.OFF))
    assert list(filled()) == [record(A), record(A, OTHER, name="other"), record(B, state=VmState.OFF)]


def test_a_name_stands_for_its_vm_as_long_as_one_host_calls_it_so() -> None:
    catalogue = filled()
    catalogue.put(A, record(A, name="new name"))
    assert catalogue.named("vm") == catalogue.named("new name") == {VM}
    catalogue.drop(B, record(B))
    assert catalogue.named("vm") == frozenset()


def test_one_name_of_two_vms_is_found_for_both() -> None:
    catalogue = filled()
    catalogue.put(B, record(B, OTHER))
    assert catalogue.named("vm") == {VM, OTHER}


def test_an_inventory_tells_what_it_altered() -> None:
    catalogue = filled()
    assert catalogue.replace(A, incarnation(A, 2), 9, (record(A), record(A, vm_number(3)))) == {OTHER, vm_number(3)}
    assert catalogue.replace(A, incarnation(A, 2), 9, (record(A, state=VmState.PAUSED),)) == {VM, vm_number(3)}


def test_a_record_that_stands_twice_in_an_inventory_counts_once() -> None:
    catalogue = Catalogue()
    catalogue.replace(A, incarnation(A), 1, (record(A, name="first"), record(A, name="second")))
    assert catalogue.known(VM) == (record(A, name="second"),)
    assert catalogue.named("first") == frozenset()


def test_a_host_that_goes_takes_all_its_records_along() -> None:
    catalogue = filled()
    assert catalogue.drop_host(A) == {VM, OTHER}
    assert catalogue.drop_host(A) == frozenset()
    assert (catalogue.of_host(A), catalogue.named("other"), catalogue.known(OTHER)) == (None, frozenset(), ())
    assert catalogue.known(VM) == (record(B, state=VmState.OFF),)


def test_what_changes_nothing_is_told_apart_from_what_does() -> None:
    catalogue = filled()
    assert not catalogue.put(A, record(A))
    assert catalogue.put(A, record(A, state=VmState.PAUSED))
    assert catalogue.drop(A, record(A))
    assert not catalogue.drop(A, record(A))


def test_s15_the_last_owner_is_who_last_had_the_life_and_a_promised_migration_is_none() -> None:
    catalogue = filled()
    assert catalogue.last_owner(VM) == A
    catalogue.put(B, record(B, state=VmState.INCOMING))
    assert catalogue.last_owner(VM) == A
    catalogue.put(B, record(B))
    catalogue.put(A, record(A, state=VmState.OFF))
    assert catalogue.last_owner(VM) == B
    catalogue.replace(A, incarnation(A), 5, (record(A, state=VmState.SAVED),))
    assert catalogue.last_owner(VM) == A
    assert catalogue.last_owner(vm_number(9)) is None


@given(st.lists(st.tuples(st.sampled_from((A, B)), some, st.sampled_from(("put", "drop", "replace", "forget")))))
def test_all_ways_to_a_record_tell_the_same(acts: list[tuple[HostId, VmRecord, str]]) -> None:
    catalogue = Catalogue()
    for host, each, act in acts:
        if act == "forget":
            catalogue.drop_host(host)
        elif act == "replace" or catalogue.of_host(host) is None:
            catalogue.replace(host, incarnation(host), 1, (replace(each, host=host),))
        elif act == "put":
            catalogue.put(host, replace(each, host=host))
        else:
            catalogue.drop(host, each)
    every = list(catalogue)
    for number in range(4):
        vm = vm_number(number)
        assert set(catalogue.known(vm)) == {each for each in every if each.uuid == vm}
    for name in ("vm", "other", "third"):
        assert catalogue.named(name) == {each.uuid for each in every if each.name == name}
