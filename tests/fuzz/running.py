"""Runs fuzz targets in processes of their own, a few at a time, from the committed corpus."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.seeds import CORPUS

CHECKOUT = Path(__file__).resolve().parents[2]
JOBS = 2
START_SECONDS = 60
"""To import and instrument everything, on a loaded machine."""
MOST_BYTES = 4096
SLOW_SECONDS = 10
"""An input that takes so long is a finding too."""

_RUNS = re.compile(r"Done (\d+) runs")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one target's run brought."""

    target: str
    status: int
    runs: int
    output: str
    """The end of what the fuzzer said; it shows the input that broke the target."""

    def __str__(self) -> str:
        return f"{self.target}: {'ok' if not self.status else 'BROKEN'}, {self.runs} inputs"


def fuzz_all(targets: Iterable[str], seconds: float, jobs: int = JOBS) -> Iterator[Finding]:
    """Fuzz each target for so many seconds, ``jobs`` at a time; findings in the order of the targets."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda target: fuzz(target, seconds), targets)


def fuzz(target: str, seconds: float) -> Finding:
    """Fuzz one target.  What it learns is thrown away: what is worth keeping is committed by hand."""
    with TemporaryDirectory(prefix="fuzz-") as learnt:
        command = [sys.executable, "-m", "tests.fuzz.one", target, f"-max_total_time={max(1, round(seconds))}"]
        options = [
            f"-max_len={MOST_BYTES}",
            f"-timeout={SLOW_SECONDS}",
            f"-artifact_prefix={learnt}/",
            "-print_final_stats=0",
        ]
        ended = subprocess.run(
            [*command, *options, learnt, str(CORPUS / target)],
            cwd=CHECKOUT,
            env=_without_coverage(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + START_SECONDS,
            text=True,
            errors="replace",
        )
    runs = _RUNS.search(ended.stdout)
    return Finding(target, ended.returncode, int(runs[1]) if runs else 0, ended.stdout[-4000:])


def _without_coverage() -> dict[str, str]:
    """The environment, less what makes coverage measure programs: two instrumentations in one process go slowly."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
