"""The simulation bites: with a clause switched off it finds a counter-example, and what it does not find is listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim import worlds
from tests.sim.generating import Mode, generate
from tests.sim.mutations import MUTATIONS, Mutation
from tests.sim.plan import Plan
from tests.sim.simulation import Simulation
from tests.sim.test_simulation import unmeasured

SEEDS = 400
"""Of 5,000 that are allowed: each clause is found much earlier."""
CAUGHT = tuple(mutation for mutation in MUTATIONS if not mutation.masked_by)
DOCUMENT = Path(__file__).parents[2] / "docs" / "safety.md"


def schedules(mutation: Mutation) -> Iterator[Plan]:
    for seed in range(SEEDS):
        if mutation.world is not None:
            yield worlds.make(mutation.world, seed)
        else:
            yield generate(seed, Mode.DEFAULT)
            yield generate(seed, Mode.DENSE)


def counter_example(mutation: Mutation) -> Plan | None:
    """The first schedule that breaks a rule without the clause."""
    with mutation.applied():
        for plan in schedules(mutation):
            oracle = Simulation(plan).run()
            if oracle.violations or (mutation.residue and oracle.residues):
                return plan
    return None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mutation", CAUGHT, ids=str)
def test_without_this_clause_a_rule_is_broken(mutation: Mutation) -> None:
    with unmeasured():
        plan = counter_example(mutation)
        assert plan is not None
        if not mutation.residue:
            assert Simulation(plan).run().violations == []  # the clause is what it takes


@pytest.mark.parametrize("mutation", [each for each in MUTATIONS if each.masked_by], ids=str)
def test_a_clause_that_no_seed_catches_is_told_in_the_documentation(mutation: Mutation) -> None:
    assert mutation.clause in DOCUMENT.read_text(encoding="utf-8")
