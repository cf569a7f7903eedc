"""Decides in which schedule a clause is seen to be needed: without it a rule is broken, with it none.

python -m tests.sim.biting: look for one for each clause, in up to 5,000 seeds, and write down which; the test begins
with those, and looks on where a change of the protocol has made another schedule of a seed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.sim import worlds
from tests.sim.generating import Mode, generate
from tests.sim.mutations import MUTATIONS, Mutation
from tests.sim.plan import Plan
from tests.sim.simulation import Simulation

SEEDS = 5000
FOUND = Path(__file__).parent / "bites.json"


def schedules(mutation: Mutation, seeds: int) -> Iterator[tuple[str, Plan]]:
    """By name: of the world that was made for the clause, else of the default and the dense world in turn."""
    for seed in range(seeds):
        for name in _worlds(mutation):
            yield f"{name} {seed}", schedule(mutation, f"{name} {seed}")


def schedule(mutation: Mutation, name: str) -> Plan:
    """That of a name, such as ``dense 7``."""
    world, seed = name.split()
    return worlds.make(mutation.world, int(seed)) if mutation.world is not None else generate(int(seed), Mode(world))


def is_needed(mutation: Mutation, plan: Plan) -> bool:
    """Whether this schedule breaks a rule without the clause, and none with it."""
    with mutation.applied():
        if not _is_broken(mutation, plan):
            return False
    with mutation.only_beside():
        return not _is_broken(mutation, plan)


def counter_example(mutation: Mutation, seeds: int, known: str = "") -> str:
    """The name of the first such schedule, empty if there is none; ``known`` is tried first."""
    if known.split()[:1] in [[name] for name in _worlds(mutation)] and is_needed(mutation, schedule(mutation, known)):
        return known
    return next((name for name, plan in schedules(mutation, seeds) if is_needed(mutation, plan)), "")


def found() -> dict[str, str]:
    """What was written down: a schedule's name for each clause."""
    return dict(json.loads(FOUND.read_text(encoding="utf-8"))) if FOUND.exists() else {}


def main() -> int:
    """Look for all, those that were found before first; 1 if a clause shows itself nowhere."""
    known = found()
    names: dict[str, str] = {}
    for mutation in MUTATIONS:
        names[str(mutation)] = counter_example(mutation, SEEDS, known.get(str(mutation), ""))
        print(f"{mutation}: {names[str(mutation)] or 'not found'}", flush=True)
        FOUND.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
    return 0 if all(names.values()) else 1


def _is_broken(mutation: Mutation, plan: Plan) -> bool:
    oracle = Simulation(plan).run()
    return bool(oracle.violations or (mutation.residue and oracle.residues))


def _worlds(mutation: Mutation) -> tuple[str, ...]:
    return (mutation.world.__name__,) if mutation.world is not None else tuple(mode.value for mode in mutation.modes)


if __name__ == "__main__":
    sys.exit(main())
