"""Measures requests per second, errors and the longest wait, with one load generator for both daemons, in turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.goals import Goal
from tests.bench.load import Tally, ask_for
from tests.bench.readiness import aim_at
from tests.bench.rivals import Daemon, Rival
from tests.bench.tables import milliseconds, ratio, table

IN_FLIGHT = (1, 8, 32)
SECONDS = 1.0
"""Of one turn.  C's daemon may stall for ten more in each."""
ROUNDS_A_TURN = 4
SLOWEST = 100.0

Key = tuple[int, Rival]
"""In flight, daemon."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """The tallies on one hypervisor over one transport."""

    where: str
    of: Mapping[Key, Tally]

    def report(self) -> str:
        """A section of Markdown."""
        head = ["in flight", *(f"{each}, {rival.value}" for rival in Rival for each in ("per s", "errors", "worst ms"))]
        rows = [
            [str(many), *(cell for rival in Rival for cell in _cells(self.of[many, rival])), ratio(self._gain(many))]
            for many in IN_FLIGHT
        ]
        return f"### {self.where}\n\n{table([*head, 'rate to C'], rows)}\n"

    def goals(self) -> Iterable[Goal]:
        """What is demanded: no error, nothing slow, and at 32 in flight C's rate."""
        ours = [self.of[many, Rival.OURS] for many in IN_FLIGHT]
        yield Goal(f"errors under load, {self.where}", sum(len(each.errors) for each in ours), 0)
        yield Goal(f"slowest request under load, {self.where}", 1000 * max(each.worst for each in ours), SLOWEST, " ms")
        yield Goal(f"rate at 32 in flight, {self.where}, to C", self._gain(32), 1.0, at_least=True)

    def _gain(self, many: int) -> float:
        return self.of[many, Rival.OURS].rate / self.of[many, Rival.C].rate


def _cells(tally: Tally) -> list[str]:
    errors = f"{len(tally.errors)} of {tally.asked}" if tally.errors else "0"
    return [f"{tally.rate:.0f}", errors, milliseconds(1000 * tally.worst)]


def measure(daemons: Mapping[Rival, Daemon], runs: int) -> Throughput:
    """A turn of each daemon at each number in flight for every few rounds of the other measurements."""
    tallies = {(many, rival): Tally() for many in IN_FLIGHT for rival in Rival}
    for number in range(-(-runs // ROUNDS_A_TURN)):
        for many in IN_FLIGHT:
            for rival in list(Rival) if number % 2 else list(Rival)[::-1]:
                tallies[many, rival].add(ask_for(aim_at(daemons[rival]), many, SECONDS))
    some = next(iter(daemons.values()))
    return Throughput(f"{some.ground.name}, {some.transport.value}", tallies)
