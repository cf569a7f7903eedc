"""The coverage gates bite: too little of a part that decides, or nothing at all, closes them; children are counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components import CHECKOUT

SETTINGS = """
[tool.coverage.run]
branch = true
parallel = true
patch = ["subprocess"]
source_pkgs = ["fencebus_schemas", "fencebus_host"]
disable_warnings = ["module-not-imported", "no-data-collected"]
[tool.pytest.ini_options]
addopts = "-p no:cacheprovider -p no:asyncio -p no:hypothesispytest"
"""
DECIDES = """
def decide(word: str) -> bool:
    if word == "off":
        return True
    return False
"""
HALF = """
from fencebus_schemas.model import decide
def test_off() -> None:
    assert decide("off")
"""
WHOLE = """
import subprocess, sys
from fencebus_schemas.model import decide
import fencebus_host.verdict, fencebus_host.policy, fencebus_host.ledger
def test_off() -> None:
    assert decide("off")
def test_on_in_a_child() -> None:
    code = "from fencebus_schemas.model import decide; raise SystemExit(decide('on'))"
    assert subprocess.run([sys.executable, "-c", code], check=True).returncode == 0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one function to decide, in packages called as ours."""
    for package, modules in {"fencebus_schemas": ("model",), "fencebus_host": ("verdict", "policy", "ledger")}.items():
        (tmp_path / package).mkdir()
        for module in ("__init__", *modules):
            (tmp_path / package / f"{module}.py").write_text("")
    for module in ("model",):
        (tmp_path / "fencebus_schemas" / f"{module}.py").write_text(DECIDES)
    for module in ("verdict", "policy", "ledger"):
        (tmp_path / "fencebus_host" / f"{module}.py").write_text("RULE = 1\n")
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    return tmp_path


def run_gates(project: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in `project` as the environment `all` does, with `test` as its only test module."""
    (project / "test_it.py").write_text(test)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-p", "tests.coverage_gate", "test_it.py"],
        cwd=project,
        env={**inherited, "PYTHONPATH": f"{project}{os.pathsep}{CHECKOUT}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_a_branch_that_no_test_took_fails_the_run(project: Path) -> None:
    run = run_gates(project, HALF)
    assert "1 passed" in run.stdout
    assert "schemas: 66.67 % of 100 % TOO LITTLE" in run.stdout, run.stdout + run.stderr
    assert "verdict: nothing measured of 100 % TOO LITTLE" in run.stdout
    assert run.returncode == 1


def test_what_a_child_process_ran_is_counted_and_opens_the_gates(project: Path) -> None:
    run = run_gates(project, WHOLE)
    assert "schemas: 100.00 % of 100 % ok" in run.stdout, run.stdout + run.stderr
    assert "TOO LITTLE" not in run.stdout
    assert run.returncode == 0


def test_the_last_line_printed_is_the_closing_line_of_pytest(project: Path) -> None:
    run = run_gates(project, WHOLE)
    assert "2 passed" in run.stdout.splitlines()[-1]
