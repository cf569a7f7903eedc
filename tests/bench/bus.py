"""Measures fences across hosts on a RabbitMQ beside a bare echo over it, and what else passes the bus; prints a report.

make bench-bus                            everything
python -m tests.bench.bus --quick         a fifth of it
python -m tests.bench.bus --write         puts the report into docs/performance.md, too
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import machine, page
from tests.bench.bus_events import event_times
from tests.bench.bus_floor import round_trips
from tests.bench.bus_hosts import BusHosts, Idle, bus_hosts
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.load import Tally
from tests.bench.tables import goals_table, milliseconds, ratio, table
from tests.rabbitmq import RabbitMq, running_rabbitmq

IN_FLIGHT = (1, 32)
ECHOES, EVENTS, ROUNDS = 1000, 200, 3
STATUS_SECONDS, IDLE_SECONDS, LEAST_IDLE_SECONDS = 2.0, 20.0, 10.0
"""Of two announces at least: of less than one, each host that happens to speak counts for more than it says."""
C_CPG = 13.0
"""Milliseconds of the C daemon's fence over corosync, at best (facts: 13 to 19)."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one thing at one number in flight."""

    figures: Figures
    rate: float
    failed: int = 0
    processor: tuple[float, ...] = ()
    """Milliseconds of each daemon for one of it."""

    @classmethod
    def of(cls, tally: Tally, processor: tuple[float, ...] = ()) -> Row:
        """From a tally of requests."""
        return cls(Figures.of(tally.waits), tally.rate, len(tally.errors), processor)


Key = tuple[str, int]
"""What, and how many in flight."""
ECHO, OFF, ON, STATUS = "echo, kombu alone", "off", "on", "status"


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything."""

    rows: Mapping[Key, Row]
    events: Figures
    idle: Idle
    silence: float

    def report(self, description: str) -> str:
        """Markdown."""
        head = ("", "in flight", "p50 ms", "p99 ms", "per s", "failed", "x echo", "processor ms: asked / owner / third")
        events, idle = self.events, self.idle
        told_in = f"p50 {milliseconds(events.median)} ms, p99 {milliseconds(events.p99)} ms ({events.count} events)"
        said = f"{idle.messages} messages, {idle.octets} bytes, of {idle.hosts} hosts in {idle.seconds:g} s"
        lines = (
            f"From libvirt's event to every other host knowing, three hosts in one process: {told_in}.",
            f"Idle: {said}. A daemon that was killed was noticed after {self.silence:.1f} s.",
        )
        told = (description, "", goals_table(self.goals()), "", table(head, self._table()), "", *lines)
        return "\n".join(told)

    def goals(self) -> Iterator[Goal]:
        """What is to be reached."""
        floor, fence = self.rows[ECHO, 1].figures, self.rows[OFF, 1].figures
        yield Goal("off across hosts, to twice the echo and 3 ms", fence.median, 2 * floor.median + 3, " ms")
        yield Goal("off across hosts, to a third of C's over corosync", fence.median, C_CPG / 3, " ms")
        yield Goal("an event known everywhere, p99", self.events.p99, 10, " ms")
        yield Goal("idle messages of a host in 5 s", self.idle.per_host_and_5_seconds, 1.1)
        yield Goal("fences that failed", sum(row.failed for (what, _), row in self.rows.items() if what != STATUS), 0)

    def _table(self) -> Iterator[tuple[str, ...]]:
        for (what, many), row in self.rows.items():
            cells = (
                what,
                str(many),
                milliseconds(row.figures.median),
                milliseconds(row.figures.p99),
                f"{row.rate:.0f}",
            )
            against = row.figures.median / self.rows[ECHO, many].figures.median
            spent = " / ".join(f"{each:.1f}" for each in row.processor)
            yield (*cells, str(row.failed), ratio(against), spent)


def measure(broker: RabbitMq, folder: Path, share: float) -> Measured:
    """One broker for all of it; ``share`` of the full number of rounds."""
    rows: dict[Key, Row] = {}
    for many in IN_FLIGHT:
        seconds, whole = round_trips(broker.url(), int(ECHOES * share), many)
        rows[ECHO, many] = Row(Figures.of(seconds), len(seconds) / whole)
    with bus_hosts(broker, folder) as hosts:
        for many in IN_FLIGHT:
            rows.update(_fences(hosts, many, max(1, int(ROUNDS * share))))
        for many in IN_FLIGHT:
            rows[STATUS, many] = Row.of(hosts.statuses(many, STATUS_SECONDS * share))
        idle, silence = hosts.idle(max(LEAST_IDLE_SECONDS, IDLE_SECONDS * share)), hosts.silence()
    order = sorted(rows, key=lambda key: (key[1], (ECHO, OFF, ON, STATUS).index(key[0])))
    events = Figures.of(asyncio.run(event_times(broker, folder, int(EVENTS * share))))
    return Measured({key: rows[key] for key in order}, events, idle, silence)


def _fences(hosts: BusHosts, many: int, rounds: int) -> dict[Key, Row]:
    before, off, on = hosts.processor_seconds(), Tally(), Tally()
    for _ in range(rounds):
        for whole, part in zip((off, on), hosts.fences(many), strict=True):
            whole.add(part)
    asked = off.asked + on.asked
    spent = tuple(1000 * (now - then) / asked for now, then in zip(hosts.processor_seconds(), before, strict=True))
    return {(OFF, many): Row.of(off, spent), (ON, many): Row.of(on, spent)}


def main() -> int:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(prog="tests.bench.bus")
    parser.add_argument("--quick", action="store_true", help="a fifth of everything")
    page.add_option(parser)
    options = parser.parse_args()
    description = machine.description(ROUNDS)
    with tempfile.TemporaryDirectory(prefix="fencebus-bench-") as name, running_rabbitmq(Path(name) / "node") as broker:
        text = measure(broker, Path(name), 0.2 if options.quick else 1.0).report(description)
    text += f"\n\nLoad at the end {os.getloadavg()[0]:.1f}."
    print(text)
    if options.write:
        page.write(text, options.write, page.BUS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
