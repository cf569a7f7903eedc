"""Decides whether enough of the source was run: 100 % of the parts that decide, 90 % of all, branches included.

A pytest plugin rather than a step after pytest: a closed gate is a failed run, and pytest's closing line stays the
last one. It is on when pytest runs under `coverage run` and is given `-p tests.coverage_gate`.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import coverage
import pytest
from coverage.exceptions import CoverageException, CoverageWarning


@dataclass(frozen=True, slots=True)
class Gate:
    """At least `percent` of what lies in the files that match `include` must run."""

    name: str
    include: tuple[str, ...]
    percent: float


GATES = (
    Gate("schemas", ("*/fencebus_schemas/*",), 100.0),
    Gate(
        "verdict",
        ("*/fencebus_host/verdict.py", "*/fencebus_host/federated_rules.py", "*/fencebus_host/host_death.py"),
        100.0,
    ),
    Gate("policy", ("*/fencebus_host/policy.py",), 100.0),
    Gate("ledger", ("*/fencebus_host/ledger.py",), 100.0),
    Gate("everything", ("*/fencebus_*/*",), 90.0),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gate measured; `percent` is None where nothing at all was measured, which closes the gate."""

    gate: Gate
    percent: float | None
    report: str

    @property
    def passed(self) -> bool:
        """Whether the gate is open."""
        return self.percent is not None and self.percent >= self.gate.percent

    def __str__(self) -> str:
        word = "ok" if self.passed else "TOO LITTLE"
        seen = "nothing measured" if self.percent is None else f"{self.percent:.2f} %"
        return f"{self.gate.name}: {seen} of {self.gate.percent:.0f} % {word}"


def read_gate(measured: coverage.Coverage, gate: Gate) -> Reading:
    """Return what `gate` finds in the combined data of `measured`."""
    text = io.StringIO()
    try:
        percent = measured.report(include=list(gate.include), file=text)
    except CoverageException:
        return Reading(gate, None, "")
    return Reading(gate, percent, text.getvalue())


def combine(running: coverage.Coverage) -> coverage.Coverage:
    """Stop measuring and return the data of this process and of all its children, as one."""
    running.stop()
    running.save()
    measured = coverage.Coverage()
    with warnings.catch_warnings():
        # A daemon that a test killed with SIGKILL while it wrote its data leaves half a file; it has none to give.
        warnings.simplefilter("ignore", CoverageWarning)
        measured.combine()
    return measured


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Measure the gates; a closed one fails a run that was good so far."""
    running = coverage.Coverage.current()
    if running is None:
        return
    if hasattr(session.config, "workerinput"):
        # One of several processes that share the tests: what it measured is for the one that gives them out.
        running.stop()
        running.save()
        return
    measured = combine(running)
    readings = [read_gate(measured, gate) for gate in GATES]
    session.config.stash[READINGS] = readings
    if session.exitstatus == pytest.ExitCode.OK and not all(reading.passed for reading in readings):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show each gate's reading, and what did not run where one is closed.

    Never the lines of all files: they would drown the tests that failed. `coverage report` tells them afterwards.
    """
    readings = terminalreporter.config.stash.get(READINGS, [])
    if not readings:
        return
    terminalreporter.section("coverage")
    for reading in readings:
        if not reading.passed:
            terminalreporter.write_line(reading.report)
        terminalreporter.write_line(str(reading), red=not reading.passed, green=reading.passed)


READINGS = pytest.StashKey[list[Reading]]()
