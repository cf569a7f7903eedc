"""Converts rows of text to Markdown, and measured figures to the text of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.figures import Figures
from tests.bench.goals import Goal


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def spread(figures: Figures) -> str:
    """Least, median and nine tenths, in milliseconds."""
    return " / ".join(milliseconds(each) for each in (figures.least, figures.median, figures.p90))


def milliseconds(value: float) -> str:
    """Three digits, but nothing beyond the microsecond."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """A ratio with two digits behind the point."""
    return f"{value:.2f}"


def goals_table(goals: Iterable[Goal]) -> str:
    """Every goal, what was measured, and whether it is reached."""
    rows = [
        (goal.what, f"{goal.measured:.3g}{goal.unit}", goal.demand, "reached" if goal.met else "**missed**")
        for goal in goals
    ]
    return table(("figure", "measured", "goal", ""), rows)
