"""Decides how an answer of the daemon is printed: text for people, or one of the formats for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from fencebus_schemas.status_plain import to_plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FORMATS = ("text", "json", "xml", "html", "tsv")
LONGEST_LINE = 2000
Rows = Callable[[], Sequence[Sequence[str]]]


def as_json(value: object) -> str:
    """One JSON document."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False)


def as_xml(name: str, value: object) -> str:
    """One XML document."""
    from fencebus_schemas.status_xml import to_xml

    return to_xml(name, value)


def as_tsv(rows: Sequence[Sequence[str]]) -> str:
    """Lines with tabs."""
    from fencebus_schemas.status_tables import tsv

    return tsv(rows).rstrip("\n")


def tell(form: str, name: str, value: object, rows: Rows) -> None:
    """Print a value for programs, or as a page of its own; ``rows`` has its lines, the head first."""
    if form == "json":
        say(as_json(value))
    elif form == "xml":
        say(as_xml(name, value))
    elif form == "html":
        from fencebus_schemas.status_page import to_page

        say(to_page(f"fencebus: {name}", value).rstrip("\n"))
    else:
        say(as_tsv(rows()))


def console() -> Console:
    """Where text goes: with colours and line breaks on a terminal alone; elsewhere a line is a line."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else LONGEST_LINE
    return Console(width=width, highlight=False, soft_wrap=False, emoji=False)


def show(renderable: RenderableType) -> None:
    """Print text for people; where it is kept, no line ends in blanks that fill a table."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as kept:
        out.print(renderable)
    click.echo("\n".join(line.rstrip() for line in kept.get().splitlines()))


def page(lines: Iterable[str]) -> None:
    """Print many lines, through the pager if they are more than a terminal shows; colours stay where there are any."""
    told = list(lines)
    if sys.stdout.isatty() and len(told) >= shutil.get_terminal_size().lines:
        click.echo_via_pager("\n".join(told) + "\n")
    else:
        click.echo("\n".join(told))


def say(text: str) -> None:
    """Print what another program reads."""
    click.echo(text)
