"""Shows something again and again in place, without flicker, until somebody has seen enough."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from fencebus_host.control_client import NoDaemon
from fencebus_host.ctl import status_print
from fencebus_host.ctl.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType


def watch(make: Callable[[], RenderableType], seconds: float) -> ExitCode:
    """Show what ``make`` makes every so many seconds; Ctrl-C ends it well.  Without a terminal each stands below the
    one before.
    """
    try:
        if sys.stdout.isatty():
            _in_place(make, seconds)
        else:
            _one_by_one(make, seconds)
    except KeyboardInterrupt:
        return ExitCode.OK


def _in_place(make: Callable[[], RenderableType], seconds: float) -> NoReturn:
    from rich.live import Live

    with Live(console=status_print.console(), screen=True, auto_refresh=False) as live:
        while True:
            live.update(made(make), refresh=True)
            time.sleep(seconds)


def _one_by_one(make: Callable[[], RenderableType], seconds: float) -> NoReturn:
    out = status_print.console()
    while True:
        out.print(made(make))
        out.print()
        time.sleep(seconds)


def made(make: Callable[[], RenderableType]) -> RenderableType:
    """What ``make`` makes; a daemon that is not there now may come back."""
    try:
        return make()
    except NoDaemon as error:
        return str(error)
