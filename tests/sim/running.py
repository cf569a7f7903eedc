"""Runs seeds and adds up what they bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from tests.sim import worlds
from tests.sim.generating import Mode, generate
from tests.sim.happening import Kind
from tests.sim.mutations import MUTATIONS
from tests.sim.plan import Plan
from tests.sim.simulation import Simulation
from tests.sim.witness import Witness, listening


@dataclass(slots=True)
class Tally:
    """What some schedules came to."""

    seeds: int = 0
    events: int = 0
    asked: int = 0
    ok: int = 0
    residues: Counter[str] = field(default_factory=Counter)
    spoke: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    """In how many schedules with each fault each clause objected or decided."""
    violations: list[tuple[Plan, str]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """Numbers of the seeds in which something failed."""

    def add(self, other: Tally) -> None:
        """Take in what another process brought."""
        self.seeds += other.seeds
        self.events += other.events
        self.asked += other.asked
        self.ok += other.ok
        self.residues += other.residues
        self.spoke += other.spoke
        self.violations += other.violations
        self.failed += other.failed

    @property
    def ok_rate(self) -> float:
        """The share of requests that succeeded: a protocol that always fails is safe."""
        return self.ok / max(self.asked, 1)


WORLDS = {
    **{str(each): each.world for each in MUTATIONS},
    "S4 what is not on the disk is a failure": worlds.unrecorded,
    "S8 a name waits for all members": worlds.named,
    "S16 the smaller id wins": worlds.shooting,
}
"""Where each clause is likely to speak; ``None`` and what is missing: in the dense world."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some schedules for one process."""

    seeds: range
    mode: Mode = Mode.DEFAULT
    wanted: Kind | None = None
    """A fault that is in all of them."""
    clause: str = ""
    """Whose world they are of, if one was made for it."""

    def plans(self) -> Iterator[Plan]:
        """The schedules."""
        world = WORLDS.get(self.clause)
        wanted = () if self.wanted is None else (self.wanted,)
        for seed in self.seeds:
            yield generate(seed, self.mode, wanted) if world is None else worlds.make(world, seed, wanted)


def run_plan(plan: Plan, tally: Tally, witness: Witness | None = None) -> None:
    """Run one schedule."""
    simulation = Simulation(plan)
    oracle = simulation.run()
    tally.seeds += 1
    tally.events += simulation.scheduler.events
    tally.residues += oracle.residues
    tally.asked += len(oracle.asked)
    tally.ok += sum(asked.ok for asked in oracle.asked)
    if witness is not None:
        tally.spoke.update(product(plan.faults, witness.take()))
    if not all(asked.ok for asked in oracle.asked):
        tally.failed.append(plan.seed)
    tally.violations += [(plan, str(each)) for each in oracle.violations]


def run_seeds(seeds: Iterable[int], mode: Mode) -> Tally:
    """Run the schedules of some seeds."""
    tally = Tally()
    for seed in seeds:
        run_plan(generate(seed, mode), tally)
    return tally


def run_batch(batch: Batch) -> Tally:
    """Run some schedules, and hear which clauses speak."""
    tally = Tally()
    with listening() as witness:
        for plan in batch.plans():
            run_plan(plan, tally, witness)
    return tally
