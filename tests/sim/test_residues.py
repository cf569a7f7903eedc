"""Schedules that a long run has found: what is outside of the promise is counted as that, and nothing else is."""

from __future__ import annotations

import pytest

from tests.sim import oracle
from tests.sim.generating import Mode, generate
from tests.sim.plan import Plan
from tests.sim.simulation import Simulation
from tests.sim.test_simulation import unmeasured

UNHEARD = "ok by a plain kill while a second copy is on a host that had not answered"
CAME_BETWEEN = "an administrator's start between a member's last denial and ours"


def residues(plan: Plan) -> set[str]:
    with unmeasured():
        seen = Simulation(plan).run()
    assert seen.violations == []
    return set(seen.residues)


@pytest.mark.parametrize(
    ("seed", "mode", "residue"),
    (
        pytest.param(5424, Mode.DEFAULT, UNHEARD, id="the same request is told the same on the copy's own host"),
        pytest.param(8271, Mode.DEFAULT, oracle.ANOTHER_PART, id="all forgot all, in a parted network"),
        pytest.param(11207, Mode.DENSE, CAME_BETWEEN, id="an administrator starts it on the coordinator itself"),
    ),
)
def test_what_no_protocol_can_know_is_a_residue(seed: int, mode: Mode, residue: str) -> None:
    assert residue in residues(generate(seed, mode))


def test_an_older_image_beside_the_life_that_is_killed_goes_with_it() -> None:
    """As the driver for libvirt has it; the simulation's had left it there."""
    assert residues(generate(8503, Mode.DENSE)) == set()
