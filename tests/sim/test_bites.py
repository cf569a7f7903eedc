"""The simulation bites: with a clause switched off it finds a counter-example."""

from __future__ import annotations

import pytest

from tests.sim.biting import FOUND, counter_example, found
from tests.sim.mutations import MUTATIONS, Mutation
from tests.sim.test_simulation import unmeasured

SEEDS = 400
"""Of 5,000 that are allowed (make sim-bites): so many are tried if what is written down bites no more."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_without_this_clause_a_rule_is_broken_and_with_it_none(mutation: Mutation) -> None:
    with unmeasured():
        name = counter_example(mutation, SEEDS, found().get(str(mutation), ""))
    assert name, f"no counter-example; make sim-bites looks further than {FOUND.name} and {SEEDS} seeds"


def test_no_two_clauses_have_one_name() -> None:
    assert len({str(mutation) for mutation in MUTATIONS}) == len(MUTATIONS)
