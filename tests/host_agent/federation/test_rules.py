"""Each clause that a host applies to another's command, as a property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.federation import rules
from fencebus_host.federation.guards import Held
from fencebus_host.federation.tokens import Fresh
from fencebus_schemas.model import Life, Reason, RequestId
from fencebus_schemas.peer import Purpose
from tests.host_agent.federation.words import ONE, OTHER, SOURCE, VM, fence, quote

TIMES = st.floats(0, 1000)


@given(TIMES, TIMES, TIMES, st.booleans())
def test_s12_a_life_is_old_only_if_it_began_before_the_request_or_was_vouched_for(
    began: float, requested: float, started: float, vouched: bool
) -> None:
    old = rules.s12_is_old(Life("m", began), Fresh(2000.0, requested), started, ("m",) if vouched else ())
    assert old == (vouched or began <= requested)


def test_s12_a_life_for_which_the_host_of_its_birth_has_vouched_is_old_wherever_it_has_come_since() -> None:
    assert rules.s12_is_old(Life("m", 7.0), Fresh(2000.0, 6.0), 0.0, ("m",))
    assert not rules.s12_is_old(Life("m", 7.0), Fresh(2000.0, 6.0), 0.0, ("other",))


@pytest.mark.parametrize("name", ("id 5", "1234:567890", f"saved:{VM}"))
def test_s12_a_name_that_a_life_has_on_another_host_alone_makes_none_old_here(name: str) -> None:
    assert not rules.s12_is_old(Life(name, 7.0), Fresh(2000.0, 6.0), 0.0, (name,))
    assert rules.s12_is_old(Life(name, 5.0), Fresh(2000.0, 6.0), 0.0, (name,))


@given(TIMES, TIMES)
def test_s12_a_life_of_unknown_birth_is_old_only_if_the_daemon_is_older_than_the_request(
    requested: float, started: float
) -> None:
    assert rules.s12_is_old(Life("m"), Fresh(2000.0, requested), started) == (started <= requested)
    assert not rules.s12_is_old(None, Fresh(2000.0, requested), started)


@given(TIMES, TIMES, TIMES)
def test_s12_nothing_begins_at_or_after_either_limit(now: float, begin_by: float, until: float) -> None:
    assert (rules.s12_in_time(now, begin_by, until) is None) == (now < begin_by and now < until)


@given(st.booleans(), st.booleans())
def test_s16_who_is_condemned_asks_for_nothing(condemned: bool, guest: bool) -> None:
    refusal = rules.s16_source_is_condemned(SOURCE if guest else None, {SOURCE} if condemned else set())
    assert refusal == (Reason.SOURCE_FENCED if guest and condemned else None)


@given(st.text("0123456789abcdef", min_size=1), st.text("0123456789abcdef", min_size=1))
def test_s16_of_two_that_shoot_each_other_exactly_one_loses(one: str, two: str) -> None:
    def loses(mine: str, rival: str) -> bool:
        order = fence(quote(""), RequestId(mine), SOURCE)
        held = Held(RequestId(rival), SOURCE, VM, Purpose.FENCE, OTHER, "s", 9.0, 1)
        return rules.s16_loses_the_tie(RequestId(mine), order, [held]) is not None

    assert loses(one, two) + loses(two, one) == (0 if one == two else 1)


def test_s16_a_start_or_another_guests_request_is_no_rival() -> None:
    order = fence(quote(""), RequestId("9"), SOURCE)
    held = Held(ONE, SOURCE, VM, Purpose.START, OTHER, "s", 9.0, 1)
    assert rules.s16_loses_the_tie(RequestId("9"), order, [held]) is None
    assert rules.s16_loses_the_tie(RequestId("9"), order, [replace(held, purpose=Purpose.FENCE, source=SOURCE)]) is None


@given(TIMES, TIMES, st.none() | TIMES)
def test_s16_a_host_knows_what_its_guest_asked_for_a_lease_after_it_came(
    now: float, started: float, appeared: float | None
) -> None:
    refusal = rules.s16_knows_its_guests(fence(quote(""), source=SOURCE), now, started, appeared)
    since = max(started, started if appeared is None else appeared)
    assert refusal == (Reason.IN_FLIGHT if now < since + rules.LEASE else None)
    assert rules.s16_knows_its_guests(fence(quote("")), now, started, appeared) is None


@given(TIMES, TIMES)
def test_s16_no_life_takes_up_what_was_asked_before_it_came(requested: float, since: float) -> None:
    assert rules.s16_asked_by_the_life_here(Fresh(2000.0, requested), since) == (since <= requested)


@given(st.text(max_size=3), st.text(max_size=3))
def test_s15_a_start_needs_the_very_claim_that_was_granted(quoted: str, granted: str) -> None:
    assert (rules.s15_claim_stands(quoted, granted) is None) == (bool(quoted) and quoted == granted)


def test_s16_a_lease_after_it_came_a_host_knows_what_its_guest_asked_for() -> None:
    order = fence(quote(""), source=SOURCE)
    assert rules.s16_knows_its_guests(order, 10.0 + rules.LEASE, 10.0, None) is None
    assert rules.s16_knows_its_guests(order, 9.999 + rules.LEASE, 10.0, None) is Reason.IN_FLIGHT


def test_a_lease_is_what_the_design_says() -> None:
    assert rules.LEASE == 2.0
