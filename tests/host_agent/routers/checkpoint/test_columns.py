"""What is told of a real VM whose host's daemon, node or link is broken: never a fence that did not take place.

`python -m tests.corosync_columns` plays all scenarios, and the C daemon's answers beside ours; here are the quick ones.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.corosync_c import CDaemons
from tests.corosync_columns import SCENARIOS, OurDaemons, Scenario, World, play
from tests.corosync_siege import Siege

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("corosync-qemu")]

QUICK = ("nothing is broken", "kill -9 of the owner's daemon", "the owner's node stands still")


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each.title in QUICK], ids=lambda each: each.title)
def test_no_fence_is_told_that_did_not_take_place(stage: tuple[World, OurDaemons], scenario: Scenario) -> None:
    told = play(*stage, scenario)
    if scenario.succeeds and not told.success:  # on a busy machine 2 s are short; an off may be repeated
        told = play(*stage, scenario)
    assert told.answered
    assert not told.is_a_lie
    assert told.success == scenario.succeeds
    assert told.runs == (not scenario.succeeds)


def test_what_a_host_is_told_while_it_stands_still_is_not_carried_out_when_it_goes_on(
    stage: tuple[World, OurDaemons],
) -> None:
    made, side = stage
    # The scenario before has let node2 go on, with all that had been sent to it meanwhile (S12).
    side.wait()
    assert made.runs("node2")


def test_a_real_vm_is_rebooted_switched_off_and_started_from_another_host(stage: tuple[World, OurDaemons]) -> None:
    made, side = stage
    made.run_all()
    side.wait()
    (before,) = made.processes("node3")
    assert _in_a_few_tries(side, "reboot")
    (after,) = made.processes("node3")
    assert after != before
    assert _in_a_few_tries(side, "off")
    assert not made.runs("node3")
    assert _in_a_few_tries(side, "on")
    assert made.runs("node3")


def _in_a_few_tries(side: OurDaemons, action: str) -> bool:
    """On a busy machine the two seconds of a request are short."""
    return any(side.asks(1, action, "node3")[0] for _ in range(5))


def test_random_joins_leaves_and_kills_never_make_a_fence_be_told_that_did_not_take_place(
    stage: tuple[World, OurDaemons],
) -> None:
    """`python -m tests.corosync_siege 60` is the long one.  At its end every host sees the VMs of all."""
    siege = Siege(*stage, random.Random(7))
    siege.last(8)
    assert siege.lies == []
    assert sum(siege.told.values()) > 0


@pytest.mark.skipif("FENCEBUS_LONG" not in os.environ, reason="takes half a minute; FENCEBUS_LONG=1 runs it")
def test_what_the_c_backend_tells_in_the_same_scenarios(stage: tuple[World, OurDaemons], tmp_path: Path) -> None:
    made, side = stage
    with CDaemons(made.cluster.nodes, tmp_path, side.key, ["qemu:///system"] * 3) as other:
        lies = {each.title for each in SCENARIOS if play(made, other, each).is_a_lie}
    assert lies == {each.title for each in SCENARIOS if not each.succeeds}
