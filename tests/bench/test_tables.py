"""Goals, Markdown tables, and the page that the report goes into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import page
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.tables import goals_table, milliseconds, spread, table


def test_a_goal_is_reached_at_its_limit_and_missed_beyond() -> None:
    assert Goal("off", 0.125, 0.125).met
    assert not Goal("off", 0.126, 0.125).met


def test_a_goal_that_is_a_least_is_missed_below_its_limit() -> None:
    assert Goal("rate", 1.0, 1.0, at_least=True).met
    assert not Goal("rate", 0.99, 1.0, at_least=True).met


def test_a_table_is_markdown_with_figures_to_the_right() -> None:
    assert table(("what", "ms"), [("status", "4.1")]) == "| what | ms |\n| --- | ---: |\n| status | 4.1 |"


@pytest.mark.parametrize(("value", "shown"), ((0.1234, "0.12"), (9.876, "9.88"), (45.67, "45.7"), (1006.4, "1006")))
def test_milliseconds_have_about_three_digits(value: float, shown: str) -> None:
    assert milliseconds(value) == shown


def test_a_spread_shows_least_median_and_nine_tenths() -> None:
    assert spread(Figures.of([0.001, 0.002, 0.2])) == "1.00 / 2.00 / 200"


def test_a_missed_goal_stands_out() -> None:
    shown = goals_table([Goal("RSS", 61.0, 60.0, " MB")])
    assert shown.endswith("| RSS | 61 MB | at most 60 MB | **missed** |")


def test_the_report_replaces_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"# Title\n\n{page.BENCH.begin}\nold\n{page.BENCH.end}\n\n## Why\n", "utf-8")
    page.write("new\n", path)
    page.write("newer\n", path)
    assert path.read_text("utf-8") == f"# Title\n\n{page.BENCH.begin}\n\nnewer\n\n{page.BENCH.end}\n\n## Why\n"


def test_a_page_without_its_marks_is_left_alone() -> None:
    with pytest.raises(page.NoMarksError):
        page.replaced(f"{page.BENCH.end}{page.BENCH.begin}", "new")


@pytest.mark.parametrize("place", (page.BENCH, page.GUESTS))
def test_the_page_of_the_project_has_its_marks(place: page.Place) -> None:
    assert page.replaced(page.PAGE.read_text("utf-8"), "new", place)
