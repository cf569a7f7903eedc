"""A host that carries out nothing whatever it is told (--dry-run): what that means for a fence across hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import verdict
from fencebus_host.federation.fence_course import GRACE
from fencebus_schemas.model import Reason, Sight
from fencebus_schemas.peer import Fence
from tests.host_agent.federation.courses import A, B, Table, killed
from tests.host_agent.federation.words import OFF, RUNNING


def test_what_a_host_that_carries_out_nothing_plainly_has_is_not_waited_for() -> None:
    for saw_first in (True, False):
        table = Table()
        if saw_first:
            table.says(A, RUNNING)
        table.fenced(A, None, Reason.PAUSED)
        assert table.over is saw_first
        table.says(A, RUNNING)
        (evidence,) = table.evidence
        assert evidence.objection is not None
        assert evidence.objection.text.startswith("a: its daemon runs with --dry-run")
        outcome = verdict.decide_off(table.request, evidence)
        assert (outcome.ok, outcome.reason) == (False, Reason.PAUSED)


@pytest.mark.parametrize("there", (OFF, replace(RUNNING, in_flight=True)))
def test_what_a_host_that_carries_out_nothing_may_not_keep_another_one_can_still_end(there: Sight) -> None:
    table = Table()
    table.says(A, there)
    table.out.clear()
    table.fenced(A, None, Reason.PAUSED)
    table.says(B, RUNNING)
    assert [each.to for each in table.sent(Fence)] == [B]
    table.says(A, OFF)
    table.fenced(B, killed(B))
    table.deny(A, B)
    table.wait(GRACE + 0.2)
    assert verdict.decide_off(table.request, table.evidence[0]).ok


def test_s2_the_refusal_of_a_host_that_carries_out_nothing_is_no_denial() -> None:
    table = Table()
    for _ in range(60):
        table.fenced(A, None, Reason.PAUSED)
        table.deny(B)
        table.wait(0.5)
    assert table.over
    outcome = verdict.decide_off(table.request, table.evidence[0])
    assert (outcome.ok, outcome.reason) == (False, Reason.PAUSED)
