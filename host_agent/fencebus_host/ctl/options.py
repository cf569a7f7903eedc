"""Decides how the options are called that many commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def config_option(command: F) -> F:
    """``-f``: which daemon is asked."""
    text = "The configuration of the daemon to ask; by default the one that runs here."
    return click.option("-f", "--config", "file", type=click.Path(path_type=Path), help=text)(command)


def format_option(*forms: str) -> Callable[[F], F]:
    """``--format``: the first is the default."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], help="How to print it.")
