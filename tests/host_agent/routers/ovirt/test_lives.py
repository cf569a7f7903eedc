"""Which life a manager shows, and its age on this host's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt.lives import life_of
from fencebus_host.routers.ovirt.readings import VmReading
from fencebus_schemas.model import Uuid

TIMES = st.floats(0, 1e9)


def vm(started: float | None) -> VmReading:
    return VmReading(Uuid("u"), "vm", "up", "h", started)


def test_without_a_time_nobody_saw_it_begin() -> None:
    assert life_of(vm(None), 10, 10) is None
    found = life_of(vm(5), None, 10)
    assert found is not None
    assert found.began_at is None


@given(TIMES, st.floats(0, 1e6), st.floats(0, 0.999), st.floats(0, 5), TIMES)
def test_its_beginning_is_never_placed_before_it_began_and_at_most_a_second_and_the_way_after(
    started: float, age: float, fraction: float, way: float, booted: float
) -> None:
    """The manager's clock says ``started + age`` when it answers, cut to a whole second in its answer's date."""
    made = max(started + age - fraction, 0.0)
    arrived = booted + age + way
    found = life_of(vm(started), made, arrived)
    assert found is not None
    assert found.began_at is not None
    assert booted - 1e-3 <= found.began_at <= booted + way + fraction + 1e-3


def test_another_start_is_another_life() -> None:
    one, other = life_of(vm(5.001), 10, 10), life_of(vm(5.002), 10, 10)
    assert one is not None
    assert other is not None
    assert one.mark != other.mark


def test_a_life_that_begins_in_the_future_has_just_begun() -> None:
    found = life_of(vm(500), 10, 77)
    assert found is not None
    assert found.began_at == 77
