"""Runs seeds and adds up what they bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.sim.generating import Mode, generate
from tests.sim.happening import Kind
from tests.sim.plan import Plan
from tests.sim.simulation import Simulation


@dataclass(slots=True)
class Tally:
    """What some schedules came to."""

    seeds: int = 0
    events: int = 0
    asked: int = 0
    ok: int = 0
    residues: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    """How often each reason was given in schedules with each fault."""
    violations: list[tuple[int, Mode, str]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    """Numbers of the seeds in which something failed."""

    def add(self, other: Tally) -> None:
        """Take in what another process brought."""
        self.seeds += other.seeds
        self.events += other.events
        self.asked += other.asked
        self.ok += other.ok
        self.residues += other.residues
        self.reasons += other.reasons
        self.violations += other.violations
        self.failed += other.failed

    @property
    def ok_rate(self) -> float:
        """The share of requests that succeeded: a protocol that always fails is safe."""
        return self.ok / max(self.asked, 1)


def run_plan(plan: Plan, mode: Mode, tally: Tally) -> None:
    """Run one schedule."""
    simulation = Simulation(plan)
    oracle = simulation.run()
    tally.seeds += 1
    tally.events += simulation.scheduler.events
    tally.residues += oracle.residues
    for asked in oracle.asked:
        tally.asked += 1
        tally.ok += asked.ok
        for fault in sorted(plan.faults, key=lambda each: each.name):
            tally.reasons[fault, asked.reason] += 1
    if not all(asked.ok for asked in oracle.asked):
        tally.failed.append(plan.seed)
    tally.violations += [(plan.seed, mode, str(each)) for each in oracle.violations]


def run_seeds(seeds: Iterable[int], mode: Mode) -> Tally:
    """Run the schedules of some seeds."""
    tally = Tally()
    for seed in seeds:
        run_plan(generate(seed, mode), mode, tally)
    return tally


def run_batch(batch: tuple[range, Mode]) -> Tally:
    """The same, for a process of its own."""
    return run_seeds(*batch)
