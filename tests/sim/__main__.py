"""python -m tests.sim [--seconds N | --seeds N] [--seed S --mode M]: schedules on all cores; exit status 1 if a rule
was broken, with the first counter-example shrunk to a story.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice

from tests.sim.generating import Mode, generate
from tests.sim.happening import FAULTS
from tests.sim.running import Tally, run_batch
from tests.sim.shrinking import breaks, shrink, story

BATCH = 25
MODES = (Mode.DEFAULT, Mode.DENSE)
COLUMNS = (
    "host-silent", "not-proven", "still-claimed", "source-fenced", "younger-life", "requester-gone", "not-started",
    "deadline",
)  # fmt: skip
"""Reasons that stand for rules: S2 and S13, S2, S3 and S14, S16, S12, S12, S15, S9."""


def batches(first: int, seeds: int | None, until: float | None) -> Iterator[tuple[range, Mode]]:
    """Ranges of seeds, both modes in turn, until there are enough or the time is over."""
    number = 0
    while (seeds is None or number < seeds) and (until is None or time.monotonic() < until):
        yield range(first + number, first + number + BATCH), MODES[number // BATCH % len(MODES)]
        number += BATCH


def progress(tally: Tally, share: float, began: float) -> None:
    """A bar on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        bar = "#" * int(30 * min(share, 1.0))
        rate = tally.events / max(time.monotonic() - began, 0.001)
        text = f"\r[{bar:30}] {tally.seeds} seeds, {rate:,.0f} events/s, {tally.ok_rate:.1%} ok"
        print(f"{text}, {len(tally.violations)} violations ", end="", file=sys.stderr, flush=True)


def table(tally: Tally) -> str:
    """Reasons by faults: how often each rule spoke in schedules with each fault."""
    rows = ["fault".ljust(14) + "".join(column.rjust(16) for column in COLUMNS)]
    rows += [
        fault.name.lower().ljust(14) + "".join(str(tally.reasons[fault, column]).rjust(16) for column in COLUMNS)
        for fault in FAULTS
    ]
    return "\n".join(rows)


def run(first: int, seeds: int | None, seconds: float | None) -> Tally:
    """Run schedules on all cores."""
    began, tally = time.monotonic(), Tally()
    until = None if seconds is None else began + seconds
    work, cores = batches(first, seeds, until), os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        # A few at a time, so that the clock is asked when it matters.
        while chunk := list(islice(work, 2 * cores)):
            for part in pool.imap_unordered(run_batch, chunk):
                tally.add(part)
                share = tally.seeds / seeds if seeds else (time.monotonic() - began) / (seconds or 1)
                progress(tally, share, began)
    spent = time.monotonic() - began
    print(f"\n{tally.seeds} schedules, {tally.events:,} events in {spent:.0f} s: {tally.events / spent:,.0f} events/s")
    return tally


def main() -> int:
    """Run, print, and tell the first story."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="tell the story of one seed")
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], default=Mode.DEFAULT.value)
    chosen = parser.parse_args()
    if chosen.seed is not None:
        print(story(generate(chosen.seed, Mode(chosen.mode))))
        return 0
    tally = run(chosen.first, chosen.seeds, chosen.seconds if chosen.seconds or chosen.seeds else 60.0)
    print(f"{tally.ok} of {tally.asked} requests ok ({tally.ok_rate:.1%}); {len(tally.violations)} violations")
    print("documented residues:", *(f"\n  {count:6} {text}" for text, count in sorted(tally.residues.items())))
    print(table(tally))
    for seed, mode, text in tally.violations:
        print(f"seed {seed} ({mode.value}): {text}")
    if tally.violations:
        seed, mode, text = tally.violations[0]
        print(story(shrink(generate(seed, mode), breaks(_rule(text)))))
    return 1 if tally.violations else 0


def _rule(text: str) -> str:
    """The rule in a violation's text: ``   12.345 false ok: ...``."""
    return text[9:].split(":", 1)[0].strip()


if __name__ == "__main__":
    sys.exit(main())
