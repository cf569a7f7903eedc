"""Who may fence whom: the C daemon's table (facts: fence-virt 3.8), and where we differ on purpose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.model import Group
from fencebus_host.config.problems import Where
from fencebus_host.policy import Policy, Spellings, spellings
from fencebus_schemas.model import Source, Uuid, VmState
from tests.host_agent.evidence import OTHER, VM, record

NOBODY: Spellings = frozenset()
SOMEWHERE = Where("fence_virt.conf", 1)


def group(*uuids: str, ips: tuple[str, ...] = ()) -> Group:
    return Group("g", uuids, ips, SOMEWHERE)


def address_may(source: str, target: str, *groups: Group) -> bool:
    return Policy(groups).permits(Source(source), NOBODY, spellings(target))


def guest_may(source: Uuid, target: str, *groups: Group) -> bool:
    return Policy(groups).permits(Source(source, source), spellings(source), spellings(target))


# -- as C ----------


def test_without_groups_everything_is_allowed() -> None:
    policy = Policy(None)
    assert policy.permits(Source("192.0.2.1"), NOBODY, spellings(VM))


def test_an_address_may_fence_what_stands_in_its_group() -> None:
    assert address_may("192.0.2.1", VM, group(VM, ips=("192.0.2.1",)))


def test_an_address_may_not_fence_what_stands_in_another_group() -> None:
    assert not address_may("192.0.2.1", VM, group(OTHER, ips=("192.0.2.1",)), group(VM, ips=("192.0.2.2",)))


def test_any_one_of_several_groups_is_enough() -> None:
    assert address_may("192.0.2.1", VM, group(OTHER, ips=("192.0.2.1",)), group(VM, ips=("192.0.2.1",)))


def test_a_source_that_is_a_guest_is_looked_for_among_the_uuids() -> None:
    assert guest_may(OTHER, VM, group(VM, OTHER))
    assert not guest_may(OTHER, VM, group(VM))


def test_a_guest_that_has_an_address_too_is_found_by_either() -> None:
    # A vsock guest is a CID, and the VM that has this CID.
    for members in (group(VM, OTHER), group(VM, ips=("42",))):
        assert Policy([members]).permits(Source("42", OTHER), spellings(OTHER), spellings(VM))
    assert not Policy([group(VM, ips=("43",))]).permits(Source("42", OTHER), spellings(OTHER), spellings(VM))


def test_a_source_that_is_an_address_is_not_looked_for_among_the_uuids() -> None:
    assert not address_may("192.0.2.1", VM, group(VM, "192.0.2.1"))


def test_letters_of_either_case_are_the_same() -> None:
    name = "aBcDeF00-0000-0000-0000-000000000000"
    assert address_may("2001:DB8::a", name.upper(), group(name, ips=("2001:db8::A",)))


def test_a_vsock_cid_is_a_plain_word() -> None:
    assert address_may("42", VM, group(VM, ips=("42",)))
    assert not address_may("42", VM, group(VM, ips=("4", "420", "0.0.0.42")))


# -- not as C, on purpose ----------


def test_groups_that_match_nobody_switch_nothing_off() -> None:
    # C ignores all groups if the last one is empty.
    assert not address_may("192.0.2.1", VM)
    assert not address_may("192.0.2.1", VM, group())


def test_an_entry_permits_a_vm_by_name_and_by_uuid_alike() -> None:
    names = spellings("vm", VM)
    for entry in ("vm", "VM", VM, VM.upper()):
        assert Policy([group(entry, ips=("192.0.2.1",))]).permits(Source("192.0.2.1"), NOBODY, names)


@pytest.mark.parametrize(
    ("entry", "source", "same"),
    (
        ("192.0.2.0/24", "192.0.2.77", True),
        ("192.0.2.9/24", "192.0.2.77", True),
        ("192.0.2.0/24", "192.0.3.77", False),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:db8:0:0::1", "2001:db8::1", True),
        ("fe80::1", "fe80::1%eth0", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.0/24", "::FFFF:192.0.2.1", True),
        ("192.0.2.1", "::ffff:c000:201", True),
        ("192.0.2.1", "::192.0.2.1", False),
        ("192.0.2.1", "", False),
        ("not an address", "192.0.2.1", False),
        ("not an address", "not an address", True),
    ),
)
def test_addresses_are_compared_as_addresses(entry: str, source: str, same: bool) -> None:
    assert address_may(source, VM, group(VM, ips=(entry,))) is same


# -- lists ----------


def test_a_list_shows_what_the_source_may_fence_by_uuid_or_by_name() -> None:
    for entry, seen in ((VM, True), ("vm", True), (OTHER, False)):
        policy = Policy([group(entry, ips=("192.0.2.1",))])
        assert policy.visible(Source("192.0.2.1"), NOBODY, record(VmState.OFF)) is seen


# -- whatever the groups ----------

words = st.sampled_from(("vm", "VM", VM, OTHER, "192.0.2.1", "192.0.2.0/24", "::/0", "3", ""))
groups = st.lists(st.builds(Group, words, st.lists(words).map(tuple), st.lists(words).map(tuple), st.just(SOMEWHERE)))
sources = words.map(Source)
names = st.lists(words, max_size=3).map(lambda some: spellings(*some))


@given(groups, sources, names, names)
def test_more_groups_never_forbid_what_fewer_allow(
    some: list[Group], asks: Source, own: Spellings, of: Spellings
) -> None:
    if Policy(some[:-1]).permits(asks, own, of):
        assert Policy(some).permits(asks, own, of)


@given(groups, sources, names)
def test_nobody_may_fence_what_has_no_name(some: list[Group], asks: Source, own: Spellings) -> None:
    assert not Policy(some).permits(asks, own, spellings(""))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_of_an_entry_or_a_source_breaks_the_comparison(entry: str, source: str) -> None:
    assert address_may(source, VM, group(VM, ips=(entry,))) in (True, False)
