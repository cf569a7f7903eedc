"""Measures what a client itself takes, from exec to exit, when its status is answered at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.answerer import LISTENING
from tests.bench.clients import timed
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.rivals import c_program
from tests.bench.tables import ratio, spread, table
from tests.components import CHECKOUT

PYTHON = "/usr/bin/python3"
PORT = 2010
FLOOR, C, INSTALLED, ONE_FILE = f"{PYTHON} -IS -c pass", "C's fence_virt", "ours, installed", "ours, as one file"
LIMITS = {INSTALLED: 3.0, ONE_FILE: 4.5}


@dataclass(frozen=True, slots=True)
class StartUp:
    """The times of each program."""

    of: Mapping[str, Figures]

    def report(self) -> str:
        """A section of Markdown."""
        rows = [[name, spread(each), ratio(self._to_floor(name))] for name, each in self.of.items()]
        return table(("program", "exec to exit, ms", "to the floor"), rows) + "\n"

    def goals(self) -> Iterable[Goal]:
        """What is demanded of our client."""
        for name, limit in LIMITS.items():
            yield Goal(f"client, {name}, to python3 -IS -c pass", self._to_floor(name), limit)

    def _to_floor(self, name: str) -> float:
        return self.of[name].ratio_to(self.of[FLOOR])


def measure(folder: Path, key_file: Path, runs: int) -> StartUp:
    """``runs`` times each, in turns."""
    programs = {C: c_program("fence_virt", "fence-virt"), INSTALLED: _installed(folder), ONE_FILE: _one_file(folder)}
    arguments = ["-T", "127.0.0.1", "-p", str(PORT), "-k", str(key_file), "-o", "status", "-n", "vm"]
    commands = {FLOOR: FLOOR.split(), **{name: [str(program), *arguments] for name, program in programs.items()}}
    times: dict[str, list[float]] = {name: [] for name in commands}
    with _answerer(key_file):
        for command in commands.values():
            timed(command)  # once for the disk's sake
        for _ in range(runs):
            for name, command in commands.items():
                times[name].append(timed(command))
    return StartUp({name: Figures.of(each) for name, each in times.items()})


@contextmanager
def _answerer(key_file: Path) -> Iterator[None]:
    program = Path(__file__).with_name("answerer.py")
    argv: list[str | Path] = [sys.executable, "-IS", program, CHECKOUT / "schemas", str(PORT), key_file]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != LISTENING:
                raise AssertionError("the answerer does not listen")
            yield
        finally:
            process.terminate()


def _installed(folder: Path) -> Path:
    """The client as pip installs it: a wheel of this checkout, unpacked and compiled under a prefix of its own."""
    prefix = folder / "prefix"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--prefix", str(prefix)]
    source = folder / "source"
    _copy_of_the_checkout(source)
    subprocess.run([*pip, *options, str(source)], check=True, stdin=subprocess.DEVNULL)
    return prefix / "bin" / "fence_virt"


def _copy_of_the_checkout(target: Path) -> None:
    """Everything that setup.py reads, without what earlier builds left: a build must not touch the checkout."""
    left_behind = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")
    for name in ("schemas", "agent", "host_agent", "guest_client", "broker_config"):
        shutil.copytree(CHECKOUT / name, target / name, ignore=left_behind)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy2(CHECKOUT / name, target / name)


def _one_file(folder: Path) -> Path:
    program = folder / "fence_virt"
    build: list[str | Path] = [PYTHON, CHECKOUT / "guest_client" / "build_onefile.py", "--output", program]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return program
