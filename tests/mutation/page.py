"""Converts the record and its explanations into docs/mutation.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.components import CHECKOUT
from tests.mutation.record import Record, Survivor

PAGE = CHECKOUT / "docs" / "mutation.md"
UNEXPLAINED = "**not explained yet**"
HEAD = """# Mutation testing: what no unit test notices, and why it is left

`make mutation` makes every small change there is in the modules that decide, one at a time, and runs that module's unit
tests on it: cosmic-ray's operators (comparisons, `and`, `or`, `not`, numbers, truth values, loops that do not run), and
two of ours (a statement is left out; `in` becomes `not in`). Only what has changed since the last run is run again;
`MODULES=verdict` picks a module, `make mutation ANEW=yes` takes all of them anew. This page is written by it, from
`tests/mutation/record.json` and the reasons in `tests/mutation/explanations.toml`.

"""


def render(record: Record, reasons: Mapping[tuple[str, Survivor], str]) -> str:
    """The whole page."""
    rows = [_row(module, record) for module in record.modules]
    table = "\n".join(["| module | mutants | noticed | left |", "|---|---|---|---|", *rows])
    return HEAD + table + "\n" + "".join(_section(module, record, reasons) for module in record.modules)


def _row(module: str, record: Record) -> str:
    mutants = sum(trial.mutants for trial in record.modules[module].values())
    left = len(record.survivors(module))
    return f"| `{module}.py` | {mutants} | {mutants - left} | {left} |"


def _section(module: str, record: Record, reasons: Mapping[tuple[str, Survivor], str]) -> str:
    told = list(_told(module, record, reasons))
    return "\n".join(["", f"## {module}.py", "", *told, ""]) if told else ""


def _told(module: str, record: Record, reasons: Mapping[tuple[str, Survivor], str]) -> Iterator[str]:
    """Those of one reason together."""
    by_reason: dict[str, list[Survivor]] = {}
    for each in record.survivors(module):
        by_reason.setdefault(reasons.get((module, each), UNEXPLAINED), []).append(each)
    for reason, survivors in by_reason.items():
        yield f"* {reason}"
        for each in survivors:
            yield f"  - {each.function}: `{each.before}` → `{each.after}`"
