"""Puts a report between two marks of a page, and leaves everything around them as it is."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tests.components import CHECKOUT

PAGE = CHECKOUT / "docs" / "performance.md"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a report stands in the page: between two marks that name who wrote it."""

    begin: str
    end: str


BENCH = Place("<!-- measured: begin, written by make bench -->", "<!-- measured: end -->")
GUESTS = Place("<!-- lines: begin, written by make bench-guests -->", "<!-- lines: end -->")
BUS = Place("<!-- bus: begin, written by make bench-bus -->", "<!-- bus: end -->")
CHECKPOINT = Place("<!-- checkpoint: begin, written by make bench-checkpoint -->", "<!-- checkpoint: end -->")


class NoMarksError(Exception):
    """The page has not exactly one place for the report."""


def replaced(page: str, report: str, place: Place = BENCH) -> str:
    """The page with ``report`` between the marks of ``place``; raises NoMarksError."""
    begin, end = place.begin, place.end
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise NoMarksError(f"the page needs {begin!r} and {end!r}, once each and in this order")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{report.strip()}\n\n{end}{rest.partition(end)[2]}"


def write(report: str, path: Path = PAGE, place: Place = BENCH) -> None:
    """Write the report into the page on the disk."""
    path.write_text(replaced(path.read_text("utf-8"), report, place), "utf-8")


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--write [PAGE]``; without it nothing is written."""
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, metavar="PAGE", help="put the report into docs/performance.md"
    )
