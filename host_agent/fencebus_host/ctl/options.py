"""Decides how the options are called that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def config_option(command: F) -> F:
    """``-f``: which daemon is asked."""
    text = "Ask the daemon with this configuration."
    return click.option("-f", "--config", "file", type=click.Path(path_type=Path), help=text)(command)


def format_option(*forms: str) -> Callable[[F], F]:
    """``--format``: the first is the default."""
    text = f"{', '.join(forms[:-1])} or {forms[-1]}."
    return click.option("--format", "form", type=click.Choice(forms), metavar="FORM", default=forms[0], help=text)
