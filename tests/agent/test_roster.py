"""What a driver remembers of VMs, event by event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fencebus_agent.roster import EndedDomain, Known, Remembered, Roster, Turn
from fencebus_schemas.model import Uuid

VM = Uuid("00000000-0000-0000-0000-000000000001")
OTHER = Uuid("00000000-0000-0000-0000-000000000002")
ENDED = EndedDomain(VM, "vm1", "<domain/>", 5.0)


@pytest.fixture
def roster() -> Roster:
    return Roster()


def test_names_and_addresses_are_those_last_read(roster: Roster) -> None:
    roster.learn_all([Known(VM, "vm1", ("52:54:00:00:00:01",)), Known(OTHER, "vm2")])
    assert roster.named("vm1") == VM
    assert roster.addresses() == [("52:54:00:00:00:01", VM)]
    roster.learn(Known(VM, "renamed"))
    assert (roster.named("vm1"), roster.named("renamed"), roster.addresses()) == (None, VM, [])
    roster.forget(OTHER)
    assert roster.vms() == (VM,)
    roster.learn_all([])
    assert roster.known(VM) is None


def test_a_start_begins_a_life_and_wipes_out_what_was_said_of_the_last(roster: Roster) -> None:
    roster.lingers(VM, "nbd")
    roster.killed_in_flight(VM)
    roster.turn(VM, Turn.STARTED, 7.0)
    assert (roster.began(VM), roster.lingering(VM)) == (7.0, "")
    assert not roster.is_left(VM)


@pytest.mark.parametrize("event_first", (True, False), ids=["event first", "report first"])
def test_a_life_began_when_our_start_came_back_however_late_its_event_is_heard(
    roster: Roster, event_first: bool
) -> None:
    if not event_first:
        roster.booted(VM, 3, 5.0)
    roster.turn(VM, Turn.STARTED, 7.0, 3)
    roster.booted(VM, 3, 5.0)
    assert roster.began(VM) == 5.0


def test_the_event_of_another_life_makes_it_younger_than_what_our_start_reported(roster: Roster) -> None:
    roster.booted(VM, 3, 5.0)
    roster.turn(VM, Turn.STARTED, 7.0, 4)
    assert roster.began(VM) == 7.0


def test_after_a_lost_connection_the_same_number_is_not_the_same_life(roster: Roster) -> None:
    roster.booted(VM, 3, 5.0)
    roster.lost()
    roster.turn(VM, Turn.STARTED, 7.0, 3)
    assert roster.began(VM) == 7.0


def test_s12_a_life_that_is_found_after_a_lost_connection_may_have_begun_until_it_was_found(roster: Roster) -> None:
    roster.learn_all([Known(VM, "vm1")], 1.0)
    assert roster.began(VM) is None
    roster.turn(VM, Turn.STARTED, 5.0, 3)
    roster.lost()
    assert roster.began(VM) == float("inf")
    roster.learn_all([Known(VM, "vm1")], 30.0)
    assert (roster.began(VM), roster.began(OTHER)) == (30.0, 30.0)
    roster.turn(VM, Turn.STARTED, 40.0, 3)
    assert roster.began(VM) == 40.0


def test_s14_what_was_said_while_the_connection_was_lost_may_have_been_of_a_migration(roster: Roster) -> None:
    roster.learn_all([Known(VM, "vm1")], 1.0)
    assert not roster.missed_since(0.5)
    roster.lost()
    assert roster.missed_since(5.0)
    roster.learn_all([Known(VM, "vm1")], 30.0)
    assert roster.missed_since(30.0)
    assert not roster.missed_since(30.1)


def test_an_end_is_forgotten_when_the_vm_is_read_to_live_not_when_a_late_event_says_so(roster: Roster) -> None:
    roster.ended(ENDED)
    roster.turn(VM, Turn.STARTED, 7.0)
    roster.lives(VM, 4.0)
    assert roster.ended_domain(VM) == ENDED
    roster.lives(VM, 6.0)
    assert roster.ended_domain(VM) is None


def test_a_vm_arrives_when_it_resumes_not_when_its_process_starts(roster: Roster) -> None:
    roster.turn(VM, Turn.ARRIVING, 1.0)
    assert roster.is_arriving(VM)
    assert roster.spoke_since(VM, 1.0)
    roster.turn(VM, Turn.RESUMED, 2.0)
    assert not roster.is_arriving(VM)


def test_a_vm_whose_arrival_fails_lives_where_it_was(roster: Roster) -> None:
    roster.turn(VM, Turn.LEAVING, 1.0)
    roster.turn(VM, Turn.ARRIVING, 2.0)
    roster.turn(VM, Turn.CHANGED, 3.0)  # stopped: the migration failed
    assert roster.is_left(VM)
    roster.turn(VM, Turn.ARRIVING, 4.0)
    roster.turn(VM, Turn.RESUMED, 5.0)
    assert not roster.is_left(VM)


def test_a_fresh_start_does_not_arrive(roster: Roster) -> None:
    roster.turn(VM, Turn.ARRIVING, 1.0)
    roster.turn(VM, Turn.STARTED, 2.0)
    assert not roster.is_arriving(VM)


def test_a_vm_that_leaves_has_left_until_it_resumes_or_starts(roster: Roster) -> None:
    for back in (Turn.RESUMED, Turn.STARTED):
        roster.turn(VM, Turn.LEAVING, 1.0)
        roster.turn(VM, Turn.CHANGED, 2.0)
        assert roster.is_left(VM)
        assert roster.spoke_since(VM, 0.5)
        assert not roster.spoke_since(VM, 1.5)
        roster.turn(VM, back, 3.0)
        assert not roster.is_left(VM)


def test_what_must_survive_a_restart_does(roster: Roster) -> None:
    roster.ended(ENDED)
    roster.turn(OTHER, Turn.LEAVING, 1.0)
    roster.lingers(VM, "nbd")
    past = roster.remembered
    assert past == Remembered((ENDED,), frozenset({OTHER}), ((VM, "nbd"),))
    after = Roster()
    after.remember(past)
    assert [domain.uuid for domain in after.ended_domains()] == [VM]
    assert after.is_left(OTHER)
    assert after.lingering(VM) == "nbd"


def test_every_change_makes_a_new_generation(roster: Roster) -> None:
    seen = {roster.generation}
    changes: tuple[Callable[[], None], ...] = (
        lambda: roster.learn_all([]),
        lambda: roster.turn(VM, Turn.CHANGED, 1.0),
        lambda: roster.ended(ENDED),
        lambda: roster.forget(VM),
        roster.lost,
    )
    for change in changes:
        change()
        assert roster.generation not in seen
        seen.add(roster.generation)


def test_what_ended_before_a_boot_of_the_host_is_over_once_the_vm_is_read_to_live() -> None:
    after = Roster()
    after.remember(Remembered((EndedDomain(VM, "vm1", "<domain/>", 1_000_000.0),)))
    after.lives(VM, 60.0)  # a minute after the boot
    assert after.ended_domain(VM) is None


def test_a_name_that_another_vm_has_taken_means_the_ended_one_no_more(roster: Roster) -> None:
    roster.ended(ENDED)
    roster.learn(Known(OTHER, "vm1"))
    roster.forget(OTHER)
    assert roster.ended_domains() == ()
    roster.ended(ENDED)
    roster.learn_all([Known(VM, "vm1"), Known(OTHER, "vm2")])
    assert roster.ended_domain(VM) == ENDED
