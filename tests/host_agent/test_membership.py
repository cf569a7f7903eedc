"""Who is a member: the union of what anybody saw, less what an operator took out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.effects import MemberSeen
from fencebus_host.membership import Membership
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Forgotten
from tests.host_agent.federated_words import A, B, C

hosts = st.sampled_from([HostId(letter) for letter in "abcdef"])
records = st.builds(Forgotten, hosts, st.integers(1, 4), st.booleans())
tales = st.lists(st.tuples(st.lists(hosts, max_size=4), st.lists(records, max_size=3)), max_size=6)
Tale = tuple[list[HostId], list[Forgotten]]


def told(*tales: Tale) -> Membership:
    membership = Membership(A)
    for names, about in tales:
        membership.learn(names, about)
    return membership


def test_this_host_and_the_configured_ones_are_members_from_the_start() -> None:
    assert Membership(A, frozenset((B,))).members == {A, B}


def test_who_is_new_is_named_once_for_the_disk_in_order() -> None:
    membership = Membership(A)
    assert membership.learn((C, B, C)) == (MemberSeen(B), MemberSeen(C))
    assert membership.learn((B, C, A)) == ()
    assert membership.member_list == (A, B, C)


def test_a_forgotten_host_is_no_member_whoever_still_lists_it() -> None:
    membership = told(([B, C], []))
    assert membership.forget(B) == (Forgotten(B, 1),)
    membership.learn((B, C))
    assert membership.members == {A, C}
    assert membership.forget(B) == ()


def test_nobody_forgets_himself_or_a_stranger() -> None:
    membership = told(([B], []))
    assert membership.forget(A) == membership.forget(C) == ()


def test_a_later_record_takes_a_host_back_in_and_an_older_one_does_nothing() -> None:
    membership = told(([B], [Forgotten(B, 2)]))
    assert membership.learn((), (Forgotten(B, 1, True),)) == ()
    assert B not in membership.members
    assert membership.learn((), (Forgotten(B, 3, True),)) == (Forgotten(B, 3, True),)
    assert B in membership.members


def test_of_two_records_of_one_version_the_one_that_demands_more_counts() -> None:
    assert B in told(([], [Forgotten(B, 1), Forgotten(B, 1, True)])).members
    assert B in told(([], [Forgotten(B, 1, True), Forgotten(B, 1)])).members


def test_whoever_speaks_is_a_member_again() -> None:
    membership = told(([B], [Forgotten(B, 4)]))
    assert membership.present(B) == (Forgotten(B, 5, True),)
    assert membership.present(B) == ()
    assert membership.present(C) == ()
    assert B in membership.members


def test_a_configured_host_stays_a_member_though_others_forget_it() -> None:
    membership = Membership(A, frozenset((B,)))
    membership.learn((), (Forgotten(B, 1),))
    assert membership.members == {A, B}
    assert membership.forgotten == (Forgotten(B, 1),)


@given(tales)
def test_order_and_repetition_of_what_is_told_change_nothing(heard: list[Tale]) -> None:
    other = [*heard, *heard[:2]][::-1]
    first, second = told(*heard), told(*other)
    assert (first.members, first.forgotten, first.digest) == (second.members, second.forgotten, second.digest)


@given(tales, tales)
def test_two_hosts_that_exchange_lists_know_the_same(one: list[Tale], two: list[Tale]) -> None:
    first, second = told(*one), told(*two)
    before = (first.member_list, first.forgotten)
    first.learn(second.member_list, second.forgotten)
    second.learn(*before)
    assert first.digest == second.digest
    assert first.members == second.members


@given(tales, tales)
def test_digests_are_equal_if_and_only_if_nothing_is_left_to_tell(one: list[Tale], two: list[Tale]) -> None:
    first, second = told(*one), told(*two)
    equal = first.digest == second.digest
    news = first.learn(second.member_list, second.forgotten) + second.learn(first.member_list, first.forgotten)
    assert equal == (news == ())


@given(tales, tales)
def test_members_never_shrink_but_by_a_record(before: list[Tale], after: list[Tale]) -> None:
    membership = told(*before)
    had = membership.members
    for names, about in after:
        membership.learn(names, about)
    taken_out = {record.host for record in membership.forgotten if not record.member}
    assert had - membership.members <= taken_out
