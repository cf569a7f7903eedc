"""Runs the bench: C's programs and ours in turns, on libvirt's test driver and on QEMU; prints the report.

make bench                                  everything, 20 rounds
python -m tests.bench --quick               5 rounds
python -m tests.bench --only latency        one part: latency, throughput, company, footprint, startup
python -m tests.bench --write               puts the report into docs/performance.md, too
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import company, footprint, latency, machine, namespace, page, startup, throughput
from tests.bench.goals import Goal
from tests.bench.grounds import key_in, real_qemu, test_driver
from tests.bench.readiness import wait_for
from tests.bench.rivals import Daemon, Ground, Rival, Transport, started
from tests.bench.tables import goals_table

PARTS = {
    "latency": "From a client's exec to its exit",
    "throughput": "Requests per second",
    "company": "Beside others",
    "footprint": "What a daemon needs",
    "startup": "What a client needs",
}
ROUNDS, QUICK_ROUNDS = 20, 5

Daemons = dict[Transport, dict[Rival, Daemon]]


@dataclass(slots=True)
class Report:
    """Sections by part, and the goals."""

    parts: set[str]
    sections: dict[str, list[str]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)

    def take(self, part: str, text: str, goals: Iterator[Goal] | list[Goal]) -> None:
        """Add what one part measured."""
        print(f"\n{text}", flush=True)
        self.sections.setdefault(part, []).append(text)
        self.goals += goals

    def text(self, description: str) -> str:
        """The whole report in Markdown."""
        told = [f"## {PARTS[part]}\n\n" + "\n".join(self.sections[part]) for part in PARTS if part in self.sections]
        return "\n".join([description, "", "## Goals\n", goals_table(self.goals), "", *told])


def main() -> int:
    """Measure, print, and write if asked to."""
    options = _options()
    rounds = options.runs or (QUICK_ROUNDS if options.quick else ROUNDS)
    report = Report({options.only} if options.only else set(PARTS))
    namespace.enter()
    description = machine.description(rounds)
    with tempfile.TemporaryDirectory(prefix="fencebus-bench-") as name:
        if "startup" in report.parts:
            _measure_client(Path(name), rounds, report)
        if report.parts - {"startup"}:
            for make in (test_driver, real_qemu):
                folder = Path(name) / make.__name__
                folder.mkdir()
                with make(folder) as ground:
                    _measure_daemons(ground, rounds, report)
    text = report.text(description)
    print(f"\n{text}")
    if options.write:
        page.write(text, options.write)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--runs", type=int, metavar="N", help="so many rounds")
    parser.add_argument("--only", choices=list(PARTS), help="one part")
    page.add_option(parser)
    return parser.parse_args()


def _measure_client(folder: Path, rounds: int, report: Report) -> None:
    measured = startup.measure(folder, key_in(folder), rounds)
    report.take("startup", measured.report(), list(measured.goals()))


def _measure_daemons(ground: Ground, rounds: int, report: Report) -> None:
    ready = footprint.start_times(ground, rounds) if "footprint" in report.parts else None
    with ExitStack() as running:
        daemons: Daemons = {
            transport: {rival: running.enter_context(started(rival, transport, ground)) for rival in Rival}
            for transport in Transport
        }
        for daemon in [daemon for rivals in daemons.values() for daemon in rivals.values()]:
            wait_for(daemon)
        idle = footprint.resident(daemons[Transport.TCP])
        _measure_answers(daemons, rounds, report, ground.real)
        if ready:
            needs = footprint.Footprint(ground.name, ready, idle, footprint.resident(daemons[Transport.TCP]))
            report.take("footprint", needs.report(), list(needs.goals()))


def _measure_answers(daemons: Daemons, rounds: int, report: Report, real: bool) -> None:
    for rivals in daemons.values():
        if "latency" in report.parts:
            measured = latency.measure(rivals, rounds)
            report.take("latency", measured.report(), list(measured.goals(real)))
        if "throughput" in report.parts:
            rates = throughput.measure(rivals, rounds)
            report.take("throughput", rates.report(), list(rates.goals()))
    if "company" in report.parts:
        beside = company.measure(daemons[Transport.TCP], rounds)
        report.take("company", beside.report(), list(beside.goals()))


if __name__ == "__main__":
    sys.exit(main())
