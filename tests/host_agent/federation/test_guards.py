"""Guards are leases with a serial that tells of every break."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.federation.guards import Guards
from fencebus_schemas.model import RequestId
from fencebus_schemas.peer import Purpose
from tests.host_agent.federation.words import ONE, SOURCE, TWO, VM, counting, guard, quote

START = Purpose.START


def guards() -> Guards:
    return Guards(counting(), 2.0)


def test_a_guard_keeps_its_serial_while_it_is_renewed_in_time() -> None:
    all_ = guards()
    held = all_.install(guard(quote("")), 2.0, 0.0)
    assert held is not None
    all_.install(guard(quote("")), 3.5, 1.5)
    assert all_.serial(ONE, VM, 3.4) == held.serial
    assert all_.serial(ONE, VM, 3.5) == ""


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_guard_that_lapsed_has_a_new_serial(until: float, later: float) -> None:
    all_ = guards()
    first = all_.install(guard(quote("")), until, 0.0)
    assert first is not None
    serial = first.serial
    second = all_.install(guard(quote("")), until + later + 1, later)
    assert second is not None
    assert (second.serial == serial) == (later < until)


def test_what_happens_to_the_vm_breaks_every_guard_on_it() -> None:
    all_ = guards()
    for request in (ONE, TWO):
        all_.install(guard(quote(""), request), 5.0, 0.0)
    before = [all_.serial(request, VM, 1.0) for request in (ONE, TWO)]
    all_.touched(VM)
    assert all(all_.serial(request, VM, 1.0) not in ("", *before) for request in (ONE, TWO))


def test_a_lifted_guard_is_gone() -> None:
    all_ = guards()
    all_.install(guard(quote("")), 5.0, 0.0)
    all_.lift(ONE, VM)
    assert all_.serial(ONE, VM, 1.0) == ""
    assert all_.on(VM, 1.0) == []


def test_s15_a_start_is_granted_to_one_request_and_never_beside_a_fence() -> None:
    all_ = guards()
    assert all_.install(guard(quote(""), ONE, START), 5.0, 0.0) is not None
    assert all_.install(guard(quote(""), TWO, START), 5.0, 0.0) is None
    assert all_.install(guard(quote(""), TWO), 5.0, 0.0) is not None
    assert all_.serial(ONE, VM, 1.0) == ""
    assert all_.install(guard(quote(""), ONE, START), 5.0, 0.0) is None


def test_s15_of_two_starts_the_smaller_request_gets_the_guard() -> None:
    all_ = guards()
    assert all_.install(guard(quote(""), TWO, START), 5.0, 0.0) is not None
    assert all_.install(guard(quote(""), ONE, START), 5.0, 0.0) is not None
    assert [held.request for held in all_.on(VM, 1.0)] == [ONE]


def test_s16_what_a_guest_asked_for_is_known_for_a_while_after_its_guard_was_lifted() -> None:
    all_ = guards()
    all_.install(guard(quote(""), ONE, source=SOURCE), 2.0, 0.0)
    all_.lift(ONE, VM)
    assert [held.request for held in all_.asked_by(SOURCE, 3.9)] == [ONE]
    assert all_.asked_by(SOURCE, 4.0) == []
    assert all_.asked_by(VM, 1.0) == []


def test_what_is_over_is_forgotten() -> None:
    all_ = guards()
    for number in range(50):
        all_.install(guard(quote(""), RequestId(f"{number}"), source=SOURCE), 2.0, 0.0)
    all_.expire(4.0)
    assert all_.on(VM, 0.0) == []
    assert all_.asked_by(SOURCE, 0.0) == []


def test_nothing_is_kept_of_a_vm_without_guards_and_a_lift_takes_one_guard_only() -> None:
    all_ = guards()
    for request in (ONE, TWO):
        all_.install(guard(quote(""), request), 5.0, 0.0)
    all_.lift(ONE, VM)
    assert [held.request for held in all_.on(VM, 1.0)] == [TWO]
    all_.lift(TWO, VM)
    assert all_._held == {}


def test_a_guard_stands_until_its_end_and_not_at_it() -> None:
    all_ = guards()
    all_.install(guard(quote("")), 2.0, 0.0)
    assert all_.on(VM, 1.999)
    assert all_.on(VM, 2.0) == []
    all_.expire(2.0)
    assert all_._held == {}


def test_s16_a_start_is_nothing_that_a_guest_shoots_with() -> None:
    all_ = guards()
    all_.install(guard(quote(""), ONE, START, source=SOURCE), 2.0, 0.0)
    assert all_.asked_by(SOURCE, 1.0) == []


def test_a_renewed_guard_is_of_the_latest_round() -> None:
    all_ = guards()
    all_.install(guard(quote("")), 2.0, 0.0)
    held = all_.install(replace(guard(quote("")), round=3), 3.0, 1.0)
    assert held is not None
    assert held.round == 3
    held = all_.install(guard(quote("")), 3.5, 1.5)
    assert held is not None
    assert held.round == 3
