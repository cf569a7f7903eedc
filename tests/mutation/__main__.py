"""Runs cosmic-ray on copies of the project, one for each module, and prints the mutants that no test noticed."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome

from tests.components import CHECKOUT
from tests.mutation.subjects import SUBJECTS, Subject

SECONDS = 120.0
"""Of one mutant; one that makes a test run on for longer has been noticed."""
# Annotations are not evaluated, and decorators of dataclasses and properties are their meaning: no test could tell.
LEFT_OUT = ("core/ReplaceBinaryOperator_BitOr_.*", "core/RemoveDecorator")


def main() -> int:
    """Mutate the modules that were asked for; returns 0 whatever survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="MODULE", help=f"of {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="modules at once (default: %(default)s)")
    asked = parser.parse_args()
    names = asked.subjects or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor(asked.jobs) as pool:
        for name, report in zip(names, pool.map(lambda name: _mutated(SUBJECTS[name]), names), strict=True):
            print(f"## {name}\n\n{report}\n", flush=True)
    return 0


def _mutated(subject: Subject) -> str:
    with tempfile.TemporaryDirectory(prefix="fencebus-mutation-") as name:
        folder = Path(name)
        _copy(folder)
        (folder / "mutation.toml").write_text(_config(subject))
        session = folder / "session.sqlite"
        for command in (("init", "mutation.toml"), ("exec", "mutation.toml")):
            _run(folder, "cosmic-ray", command[0], command[1], str(session))
            if command[0] == "init":
                _run(folder, "cr-filter-operators", str(session), "mutation.toml")
        return _report(session)


def _copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)


def _config(subject: Subject) -> str:
    tests = " ".join(subject.tests)
    left_out = ", ".join(f'"{pattern}"' for pattern in LEFT_OUT)
    return f"""
[cosmic-ray]
module-path = "{subject.module}"
timeout = {SECONDS}
excluded-modules = []
test-command = "{sys.executable} -m pytest -x -q {tests}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = [{left_out}]
"""


def _run(folder: Path, program: str, *arguments: str) -> None:
    packages = ("schemas", "agent", "host_agent", "guest_client", ".")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(folder / package) for package in packages)}
    command = [str(Path(sys.executable).parent / program), *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def _report(session: Path) -> str:
    with use_db(str(session), WorkDB.Mode.open) as database:
        outcomes = [result.test_outcome for _, result in database.results]
        survivors = list(_survivors(database))
    tested = [outcome for outcome in outcomes if outcome is not None]
    killed = sum(outcome is not TestOutcome.SURVIVED for outcome in tested)
    return "\n\n".join([f"{killed} of {len(tested)} mutants were noticed.", *survivors])


def _survivors(database: WorkDB) -> Iterator[str]:
    for _, result in database.results:
        if result.test_outcome is TestOutcome.SURVIVED and result.diff:
            changed = [line for line in result.diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
            place = next((line for line in result.diff.splitlines() if line.startswith("@@")), "")
            yield "\n".join(["```diff", place, *changed, "```"])


if __name__ == "__main__":
    sys.exit(main())
