"""Puts a report between the two marks of a page, and leaves everything around them as it is."""

from __future__ import annotations

from pathlib import Path

from tests.components import CHECKOUT

PAGE = CHECKOUT / "docs" / "performance.md"
BEGIN = "<!-- measured: begin, written by make bench -->"
END = "<!-- measured: end -->"


class NoMarksError(Exception):
    """The page has not exactly one place for the report."""


def replaced(page: str, report: str) -> str:
    """The page with ``report`` between its marks; raises NoMarksError."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise NoMarksError(f"the page needs {BEGIN!r} and {END!r}, once each and in this order")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{report.strip()}\n\n{END}{rest.partition(END)[2]}"


def write(report: str, path: Path = PAGE) -> None:
    """Write the report into the page on the disk."""
    path.write_text(replaced(path.read_text("utf-8"), report), "utf-8")
