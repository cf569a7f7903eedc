"""python -m tests.mutation [MODULE...]: changes what decides in every small way; tells what no unit test notices."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from tests.mutation import page, record
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.places import Places
from tests.mutation.record import Record, Survivor, Trial
from tests.mutation.subjects import SUBJECTS, Subject
from tests.mutation.workshop import Fate, Workshop


def main() -> int:
    """Mutate the modules that were asked for, and write record and page; 1 if a survivor is not explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="MODULE", help=f"of {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--all", action="store_true", help="also what has not changed since the last run")
    asked = parser.parse_args()
    if unknown := set(asked.subjects) - set(SUBJECTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    os.nice(10)
    known = Record() if asked.all and not asked.subjects else record.read()
    for name in asked.subjects or SUBJECTS:
        _try(SUBJECTS[name], known, anew=asked.all)
        known.write()
        page.PAGE.write_text(page.render(known, record.explanations()), encoding="utf-8")
    reasons = record.explanations()
    return 1 if any((name, each) not in reasons for name in known.modules for each in known.survivors(name)) else 0


def _try(subject: Subject, known: Record, anew: bool) -> None:
    """What has changed since it was last tried, and whatever survived and is not explained."""
    source = subject.path.read_text(encoding="utf-8")
    places = Places(source)
    before = {} if anew else known.modules.get(subject.name, {})
    same = {name for name, trial in before.items() if trial.digest == places.digest(name)}
    reasons = record.explanations()
    doubtful = {each for each in known.survivors(subject.name) if (subject.name, each) not in reasons}
    wanted = set(places.names) - same | {each.function for each in doubtful}
    tried = [each for each in mutants(source, wanted) if each.function not in same or _survivor(each) in doubtful]
    survived = set(_surviving(subject, tried)) if tried else set()
    known.modules[subject.name] = {
        name: _kept(before[name], doubtful - survived) if name in same else _new(name, places, tried, survived)
        for name in places.names
    }


def _surviving(subject: Subject, tried: list[Mutant]) -> Iterator[Survivor]:
    workshop = Workshop(subject.module, subject.path, subject.test_paths)
    for number, mutant in enumerate(tried, 1):
        if workshop.fate(mutant.source) is Fate.SURVIVED:
            print(f"{subject.name} {mutant.function}: {mutant.before}  ->  {mutant.after}", flush=True)
            yield _survivor(mutant)
        if sys.stderr.isatty():
            print(f"\r{subject.name}: {number} of {len(tried)} ", end="", file=sys.stderr, flush=True)


def _survivor(mutant: Mutant) -> Survivor:
    return Survivor(mutant.function, mutant.before, mutant.after)


def _kept(trial: Trial, noticed: set[Survivor]) -> Trial:
    left = tuple(each for each in trial.survivors if each not in noticed)
    return Trial(trial.digest, trial.mutants, left)


def _new(name: str, places: Places, tried: list[Mutant], survived: set[Survivor]) -> Trial:
    count = sum(mutant.function == name for mutant in tried)
    return Trial(places.digest(name), count, tuple(sorted(each for each in survived if each.function == name)))


if __name__ == "__main__":
    sys.exit(main())
