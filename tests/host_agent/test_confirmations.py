"""Operators' words about dead hosts: joined by version, taken back by a sign of life."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.confirmations import Confirmations
from fencebus_host.effects import Keep, Send
from fencebus_host.federation.machine import Federation
from fencebus_host.ownership import Ownership, Past
from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.peer import EVERYONE, Announce, Confirm, Confirmed, Inventory
from tests.host_agent.federation.words import ME, MINE, counting

LOST, THIRD = HostId("lost"), HostId("third")
DIED, BACK = Incarnation("boot", "machine-lost", "1"), Incarnation("boot-2", "machine-lost", "2")
THEIRS = Incarnation("boot", "machine-third", "1")
records = st.builds(
    Confirmed,
    st.sampled_from((LOST, THIRD)),
    st.integers(1, 4),
    st.sampled_from((DIED, BACK)),
    st.just("root"),
    st.just("now"),
    st.booleans(),
)


@given(st.lists(records, max_size=8).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_which_word_stands_does_not_hang_on_the_order(told: tuple[list[Confirmed], list[Confirmed]]) -> None:
    one, other = (Confirmations(each) for each in told)
    for host in (LOST, THIRD):
        mine, theirs = one.standing(host), other.standing(host)
        assert (mine and (mine.version, mine.stands)) == (theirs and (theirs.version, theirs.stands))


def test_a_sign_of_life_takes_the_word_back_and_a_late_copy_changes_nothing() -> None:
    words = Confirmations()
    (said,) = words.confirm(LOST, DIED, "root", "now")
    assert words.standing(LOST) == said
    (back,) = words.heard(LOST)
    assert words.standing(LOST) is None
    assert words.heard(LOST) == ()
    assert words.learn((said,)) == ()
    assert words.records == (back,)
    (again,) = words.confirm(LOST, BACK, "root", "later")
    assert again.version == 3


def machine(past: Past | None = None) -> Federation:
    ownership = Ownership(ME, MINE, frozenset((ME, LOST, THIRD)), past)
    made = Federation(ME, MINE, ownership, lambda _order: True, counting(), 0.0)
    made.received(Inventory(LOST, DIED, ME, 1, "", (), (ME, LOST, THIRD), ()), 1.0)
    return made


def test_a_word_is_kept_and_spread_again_and_again() -> None:
    one = machine()
    effects = one.confirm_dead(LOST, "root", "now", 2.0)
    (record,) = one.ownership.confirmations.records
    assert (record.incarnation, record.stands) == (DIED, True)
    assert [effect.record for effect in effects if isinstance(effect, Keep)] == [record]
    told = [effect.message for effect in effects if isinstance(effect, Send)]
    assert told == [Confirm(ME, MINE, EVERYONE, (record,))]
    beat = [effect.message for effect in one.tick(10.0) if isinstance(effect, Send)]
    assert told[0] in beat
    assert one.ownership.inventory_for(THIRD).confirmed == (record,)


def test_a_word_of_another_host_is_taken_up_and_survives_a_restart() -> None:
    one, two = machine(), machine()
    one.confirm_dead(LOST, "root", "now", 2.0)
    (record,) = one.ownership.confirmations.records
    effects = two.received(Confirm(THIRD, THEIRS, EVERYONE, (record,)), 2.0)
    assert [effect.record for effect in effects if isinstance(effect, Keep)][-1] == record
    assert two.ownership.confirmations.standing(LOST) == record
    assert machine(Past(confirmed=(record,))).ownership.confirmations.standing(LOST) is None  # it was heard since
    silent = Ownership(ME, MINE, past=Past(confirmed=(record,)))
    assert silent.confirmations.standing(LOST) == record


def test_whoever_hears_the_host_takes_the_word_back_for_all() -> None:
    one = machine()
    one.confirm_dead(LOST, "root", "now", 2.0)
    effects = one.received(Announce(LOST, BACK, EVERYONE, 1, "", "", "token"), 9.0)
    (back,) = one.ownership.confirmations.records
    assert not back.stands
    assert Confirm(ME, MINE, EVERYONE, (back,)) in [effect.message for effect in effects if isinstance(effect, Send)]


def test_a_host_that_reads_of_its_own_death_contradicts() -> None:
    one = machine()
    rumour = Confirmed(ME, 1, MINE, "root", "now")
    effects = one.received(Confirm(THIRD, THEIRS, EVERYONE, (rumour,)), 2.0)
    assert one.ownership.confirmations.standing(ME) is None
    assert any(isinstance(effect, Send) and isinstance(effect.message, Confirm) for effect in effects)


def test_nobody_is_confirmed_dead_who_is_this_host_or_no_member_or_was_never_heard() -> None:
    one = machine()
    for host in (ME, HostId("stranger"), THIRD):
        assert one.confirm_dead(host, "root", "now", 2.0) == []
