"""Measures what a daemon needs: time until it answers, memory when idle and after work."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.readiness import wait_for
from tests.bench.rivals import Daemon, Ground, Rival, Transport, started
from tests.bench.tables import spread, table

MOST_MEGABYTES = 60.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """On one hypervisor.  ``idle`` and ``worked`` are megabytes."""

    where: str
    ready: Mapping[Rival, Figures]
    idle: Mapping[Rival, float]
    worked: Mapping[Rival, float]

    def report(self) -> str:
        """A section of Markdown."""
        rows = [
            [rival.value, spread(self.ready[rival]), f"{self.idle[rival]:.1f}", f"{self.worked[rival]:.1f}"]
            for rival in Rival
        ]
        head = ("daemon", "start to first answer, ms", "RSS idle, MB", "RSS after the load, MB")
        return f"### {self.where}\n\n{table(head, rows)}\n"

    def goals(self) -> Iterable[Goal]:
        """What is demanded of our daemon."""
        yield Goal(f"RSS of the idle daemon, {self.where}", self.idle[Rival.OURS], MOST_MEGABYTES, " MB")


def start_times(ground: Ground, runs: int) -> Mapping[Rival, Figures]:
    """From exec until the first status over TCP is answered, in turns."""
    times: dict[Rival, list[float]] = {rival: [] for rival in Rival}
    for _ in range(runs):
        for rival in Rival:
            began = time.perf_counter()
            with started(rival, Transport.TCP, ground) as daemon:
                wait_for(daemon)
                times[rival].append(time.perf_counter() - began)
    return {rival: Figures.of(each) for rival, each in times.items()}


def resident(daemons: Mapping[Rival, Daemon]) -> Mapping[Rival, float]:
    """Megabytes in memory now."""
    return {rival: daemon.resident_megabytes for rival, daemon in daemons.items()}
