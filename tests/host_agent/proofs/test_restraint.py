"""No storm of requests switches off more hosts, or one more often, than the administrator allows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.proofs.restraint import Company, Limits, why_not
from fencebus_schemas.model import HostId

HOSTS = tuple(HostId(name) for name in "abcdef")
ALL_HEARD = Company(6, 6)
LIMITS = Limits(at_once=1, apart=600.0)

storms = st.lists(st.tuples(st.floats(0, 5000), st.sampled_from(HOSTS)), max_size=60).map(sorted)


def carried_out(storm: list[tuple[float, HostId]], limits: Limits) -> list[tuple[float, HostId]]:
    attempts: dict[HostId, float] = {}
    done = []
    for now, host in storm:
        if not why_not(host, attempts, ALL_HEARD, limits, now):
            attempts[host] = now
            done.append((now, host))
    return done


@given(storms, st.integers(1, 3), st.floats(1, 2000))
def test_in_no_stretch_of_time_more_hosts_are_switched_off_than_allowed(
    storm: list[tuple[float, HostId]], at_once: int, apart: float
) -> None:
    done = carried_out(storm, Limits(at_once, apart))
    for began, _ in done:
        assert len([host for at, host in done if began <= at < began + apart]) <= at_once


@given(storms, st.integers(1, 3), st.floats(1, 2000))
def test_no_host_is_switched_off_twice_within_the_time(
    storm: list[tuple[float, HostId]], at_once: int, apart: float
) -> None:
    done = carried_out(storm, Limits(at_once, apart))
    for host in HOSTS:
        moments = [at for at, each in done if each == host]
        assert all(later - earlier >= apart for earlier, later in pairwise(moments))


@given(st.integers(1, 9), st.integers(1, 9))
def test_a_host_that_hears_less_than_half_switches_nobody_off(heard: int, members: int) -> None:
    refusal = why_not(HOSTS[0], {}, Company(heard, members), LIMITS, 0.0)
    assert bool(refusal) == (2 * heard < members)


def test_the_refusal_says_why() -> None:
    assert why_not(HOSTS[0], {}, ALL_HEARD, LIMITS, 0.0) == ""
    assert "a was to be switched off 5 s ago" in why_not(HOSTS[0], {HOSTS[0]: 5.0}, ALL_HEARD, LIMITS, 10.0)
    assert why_not(HOSTS[1], {HOSTS[0]: 5.0}, ALL_HEARD, LIMITS, 10.0).startswith("a had to be switched off")
    assert why_not(HOSTS[1], {HOSTS[0]: 5.0}, ALL_HEARD, Limits(2, 600.0), 10.0) == ""
    assert "cut off" in why_not(HOSTS[0], {}, Company(1, 3), LIMITS, 0.0)
