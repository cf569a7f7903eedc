"""Converts what became of all mutants into a file, and back: for each function its digest, how many mutants it had and
which of them no test noticed; beside it, kept by hand, why each of those is left.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE / "record.json"
EXPLANATIONS = HERE / "explanations.toml"


@dataclass(frozen=True, slots=True, order=True)
class Survivor:
    """A mutant that no test noticed."""

    function: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Trial:
    """The mutants of one function, as it was then."""

    digest: str
    mutants: int
    survivors: tuple[Survivor, ...]


@dataclass(slots=True)
class Record:
    """All modules by name, and in each all functions by name."""

    modules: dict[str, dict[str, Trial]] = field(default_factory=dict)

    def survivors(self, module: str) -> list[Survivor]:
        """Those of one module, by function."""
        return sorted(each for trial in self.modules.get(module, {}).values() for each in trial.survivors)

    def write(self, path: Path = RECORD) -> None:
        """One line for each function and each survivor, so that a change of the record can be read."""
        plain = {
            module: {
                name: {
                    "digest": trial.digest,
                    "mutants": trial.mutants,
                    "survivors": [{"before": each.before, "after": each.after} for each in trial.survivors],
                }
                for name, trial in sorted(trials.items())
            }
            for module, trials in sorted(self.modules.items())
        }
        path.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def read(path: Path = RECORD) -> Record:
    """Of the file; an empty one if there is none."""
    if not path.exists():
        return Record()
    return Record(
        {
            module: {
                name: Trial(
                    trial["digest"],
                    trial["mutants"],
                    tuple(Survivor(name, each["before"], each["after"]) for each in trial["survivors"]),
                )
                for name, trial in trials.items()
            }
            for module, trials in json.loads(path.read_text(encoding="utf-8")).items()
        }
    )


def explanations(path: Path = EXPLANATIONS) -> dict[tuple[str, Survivor], str]:
    """Why a survivor is left, by module and survivor."""
    told = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {(each["module"], Survivor(each["function"], each["before"], each["after"])): each["why"] for each in told}
