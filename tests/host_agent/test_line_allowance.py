"""How long a line that floods waits."""

from __future__ import annotations

import pytest

from fencebus_host.line_allowance import BURST_SECONDS, SHARE, Allowance


def test_an_ordinary_guest_never_waits() -> None:
    allowance = Allowance(0.0)
    assert all(allowance.pause_after(0.0003, second * 0.01) == 0.0 for second in range(10_000))


def test_a_burst_is_free_and_what_follows_is_paid_for_in_time() -> None:
    allowance = Allowance(100.0)
    assert allowance.pause_after(BURST_SECONDS, 100.0) == 0.0
    assert allowance.pause_after(0.006, 100.0) == pytest.approx(0.006 / SHARE)


def test_whoever_waits_as_told_gets_its_share_and_no_more() -> None:
    allowance, now, taken = Allowance(0.0), 0.0, 0.0
    while now < 100.0:
        now += 0.004
        taken += 0.004
        now += allowance.pause_after(0.004, now)
    assert taken == pytest.approx(100 * SHARE, rel=0.02)


def test_a_line_that_was_idle_for_long_has_one_burst_saved_and_not_more() -> None:
    allowance = Allowance(0.0)
    assert allowance.pause_after(BURST_SECONDS, 86400.0) == 0.0
    assert allowance.pause_after(BURST_SECONDS, 86400.0) == pytest.approx(BURST_SECONDS / SHARE)
