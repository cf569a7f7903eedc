"""docs/differences.md names tests that exist, and every test of this folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.components import CHECKOUT
from tests.interop.test_config_like_c import CASES, NEGATIVE_PORT

PAGE = CHECKOUT / "docs" / "differences.md"
HERE = Path(__file__).parent
COLUMNS = ["C does", "we do", "why", "test"]


def rows() -> list[list[str]]:
    """The cells of every row of every table."""
    lines = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|"))
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [row for row in cells if row != COLUMNS and set(row[0]) != {"-"}]


def defined(folder: Path) -> set[str]:
    """The names of all tests below a folder."""
    found = (
        re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
        for path in folder.rglob("test_*.py")
    )
    return {name for names in found for name in names}


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_row_has_four_cells_and_names_a_test_that_exists(row: list[str]) -> None:
    assert len(row) == len(COLUMNS)
    assert row[0]
    assert row[1]
    named = words(row[-1])
    known = defined(CHECKOUT / "tests") | {case.name for case in CASES} | {NEGATIVE_PORT}
    assert named
    assert {name for name in named if name not in known and not (CHECKOUT / name).exists()} == set()


def test_every_test_of_this_folder_stands_on_the_page() -> None:
    own = defined(HERE) - defined_in(Path(__file__))
    assert own <= words(PAGE.read_text(encoding="utf-8"))


def defined_in(path: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))
