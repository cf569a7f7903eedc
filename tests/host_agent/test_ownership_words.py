"""What ownership answers of operators' words about dead hosts, of who left, and of whom it knows."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.effects import HostPicture
from fencebus_host.ownership import Heard, Ownership, Past
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE, Confirm, Confirmed
from tests.host_agent.federated_words import OTHER, VM, A, B, C, host, incarnation, record

NOTHING = Heard()
WORD = Confirmed(B, 1, incarnation(B), "root", "noon")


def knowing_b() -> Ownership:
    here = host(A)
    here.announce_heard(host(B).announce("token"), 0.0)
    return here


def test_s13_an_operators_word_about_a_dead_host_is_kept_and_told_to_everyone() -> None:
    here = knowing_b()
    told = Confirm(A, incarnation(A), EVERYONE, (WORD,))
    assert here.confirm_dead(B, "root", "noon") == Heard((told,), (WORD,))
    assert here.confirmations.standing(B) == WORD
    assert here.confirmed() == (told,)


def test_of_no_operators_word_nothing_is_told() -> None:
    assert host(A).confirmed() == ()


def test_s13_nobody_vouches_for_the_death_of_this_very_host() -> None:
    here = knowing_b()
    here.own_inventory([record(A)], 0.0)
    here.token_heard(A, incarnation(A), "own", 0.0)
    assert here.incarnation_of(A) == incarnation(A)
    assert here.confirm_dead(A, "root", "noon") == NOTHING
    assert here.confirmed() == ()


def test_s13_nobody_vouches_for_the_death_of_a_host_that_is_no_member() -> None:
    here = knowing_b()
    here.forget(B, 1.0)
    assert here.incarnation_of(B) is not None
    assert here.confirm_dead(B, "root", "noon") == NOTHING
    assert here.confirmed() == ()


def test_s13_nobody_vouches_for_the_death_of_a_member_that_was_never_heard() -> None:
    here = host(A, frozenset((A, C)))
    assert here.confirm_dead(C, "root", "noon") == NOTHING
    assert here.confirmed() == ()


def test_s13_a_sign_of_life_takes_an_operators_word_back_for_all() -> None:
    here = knowing_b()
    assert here.life_heard(B) == NOTHING
    here.confirm_dead(B, "root", "noon")
    taken_back = replace(WORD, version=2, stands=False)
    assert here.life_heard(B) == Heard((Confirm(A, incarnation(A), EVERYONE, (taken_back,)),), (taken_back,))
    assert here.life_heard(B) == NOTHING


def test_what_operators_said_elsewhere_is_kept_and_not_sent_on() -> None:
    here = knowing_b()
    message = Confirm(C, incarnation(C), EVERYONE, (WORD,))
    assert here.confirm_heard(replace(message, sender=A), 1.0) == NOTHING
    assert here.confirmations.standing(B) is None
    assert here.confirm_heard(message, 1.0) == Heard(keep=(WORD,))
    assert here.confirmations.standing(B) == WORD


def test_s13_whoever_reads_an_operators_word_about_itself_contradicts_it() -> None:
    here = host(B)
    heard = here.confirm_heard(Confirm(C, incarnation(C), EVERYONE, (WORD,)), 1.0)
    taken_back = replace(WORD, version=2, stands=False)
    assert heard == Heard((Confirm(B, incarnation(B), EVERYONE, (taken_back,)),), (WORD, taken_back))


def test_s13_who_has_left_is_silent_at_once_and_until_it_is_heard_again() -> None:
    here = knowing_b()
    assert not here.is_silent(B, 1.0)
    here.departed(B)
    assert here.is_silent(B, 1.0)
    here.token_heard(B, incarnation(B), "newer", 1.0)
    assert not here.is_silent(B, 1.0)


def test_the_incarnation_of_a_host_is_the_last_that_was_heard_or_else_remembered() -> None:
    past = Past((A, B), (), (HostPicture(B, incarnation(B), 1, ()),))
    here = host(A, past=past)
    assert here.incarnation_of(HostId("nobody")) is None
    assert here.incarnation_of(B) == incarnation(B)
    here.announce_heard(host(B, start=2).announce("token"), 0.0)
    assert here.incarnation_of(B) == incarnation(B, 2)
    assert knowing_b().incarnation_of(B) == incarnation(B)


def test_what_is_here_is_what_this_very_host_has_of_a_vm() -> None:
    here, there = host(A), host(B)
    for each, name in ((here, A), (there, B)):
        each.own_inventory([record(name)], 0.0)
    here.inventory_heard(there.inventory_for(A), 0.0)
    assert [each.host for each in here.known(VM)] == [A, B]
    assert here.here(VM) == (record(A),)
    assert here.here(OTHER) == ()
