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
from tests.sim.happening import FAULTS, Kind
from tests.sim.running import Batch, Tally, run_batch
from tests.sim.shrinking import breaks, shrink, story
from tests.sim.witness import CLAUSES

BATCH = 25
MODES = (Mode.DEFAULT, Mode.DENSE, Mode.DEADLY)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FILLED = 60
"""So many schedules at most are made for one empty cell of the table."""


def batches(first: int, seeds: int | None, until: float | None) -> Iterator[Batch]:
    """Ranges of seeds, both modes in turn, until there are enough or the time is over."""
    number = 0
    while (seeds is None or number < seeds) and (until is None or time.monotonic() < until):
        yield Batch(range(first + number, first + number + BATCH), MODES[number // BATCH % len(MODES)])
        number += BATCH


def empty_cells(tally: Tally) -> list[tuple[Kind, str]]:
    """Faults under which a clause has not spoken yet."""
    return [(fault, clause) for clause in CLAUSES for fault in FAULTS if not tally.spoke[fault, clause]]


def fillers(tally: Tally, first: int) -> list[Batch]:
    """Schedules in which the clause of an empty cell may speak under its fault: in the world that was made for it."""
    return [
        Batch(range(first, first + 3), Mode.DEADLY if clause.startswith("S13") else Mode.DENSE, fault, clause)
        for fault, clause in empty_cells(tally)
    ]


def progress(tally: Tally, share: float, began: float) -> None:
    """A bar on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        bar = "#" * int(30 * min(share, 1.0))
        rate = tally.events / max(time.monotonic() - began, 0.001)
        text = f"\r[{bar:30}] {tally.seeds} seeds, {rate:,.0f} events/s, {tally.ok_rate:.1%} ok"
        print(f"{text}, {len(tally.violations)} violations ", end="", file=sys.stderr, flush=True)


def table(tally: Tally) -> str:
    """Clauses by faults: in how many schedules with each fault each clause objected or decided."""
    legend = [
        f"  {letter} {fault.name.lower().replace('_', ' ')}" for letter, fault in zip(LETTERS, FAULTS, strict=False)
    ]
    head = "".join(letter.rjust(6) for letter in LETTERS[: len(FAULTS)])
    rows = [
        clause.ljust(52) + "".join(str(tally.spoke[fault, clause]).rjust(6) for fault in FAULTS) for clause in CLAUSES
    ]
    return "\n".join(["schedules in which each clause spoke, by fault:", *legend, " " * 52 + head, *rows])


def run(first: int, seeds: int | None, seconds: float | None) -> Tally:
    """Run schedules on all cores; then some for each cell of the table that is still empty."""
    began, tally = time.monotonic(), Tally()
    until = None if seconds is None else began + seconds
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        # A few at a time, so that the clock is asked when it matters.
        work = batches(first, seeds, until)
        while chunk := list(islice(work, 2 * cores)):
            for part in pool.imap_unordered(run_batch, chunk):
                tally.add(part)
                progress(tally, tally.seeds / seeds if seeds else (time.monotonic() - began) / (seconds or 1), began)
        whole = Tally()
        whole.add(tally)
        for seed in range(0, FILLED, 3):
            for part in pool.imap_unordered(run_batch, fillers(whole, seed)):
                whole.add(part)
    tally.spoke, tally.violations = whole.spoke, whole.violations
    spent = time.monotonic() - began
    print(f"\n{whole.seeds} schedules, {whole.events:,} events in {spent:.0f} s: {whole.events / spent:,.0f} events/s")
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
    for fault, clause in empty_cells(tally):
        print(f"never heard: {clause}, under {fault.name.lower().replace('_', ' ')}")
    for plan, text in tally.violations:
        print(f"seed {plan.seed}: {text}")
    if tally.violations:
        plan, text = tally.violations[0]
        print(story(shrink(plan, breaks(_rule(text)))))
    return 1 if tally.violations else 0


def _rule(text: str) -> str:
    """The rule in a violation's text: ``   12.345 false ok: ...``."""
    return text[9:].split(":", 1)[0].strip()


if __name__ == "__main__":
    sys.exit(main())
