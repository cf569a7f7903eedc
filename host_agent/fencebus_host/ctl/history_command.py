"""`fence_virtctl history`: which power actions there were, and what came of each."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import click

from fencebus_host.control_client import NoDaemon
from fencebus_host.ctl import status_print
from fencebus_host.ctl.completion import vm_names
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked, events_of, state_dir_of
from fencebus_schemas.status import VERSION, EventKind, HistoryStatus

LATELY = 1000
"""Events that may have come between two questions."""
UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@click.command()
@click.option("--vm", default="", shell_complete=vm_names, help="Only actions on this VM, by name or UUID.")
@click.option("--since", default="", help="Only the last 90min, 12h, 7d, or since 2026-01-31 or 2026-01-31T12:00.")
@click.option("--failed", is_flag=True, help="Only actions that failed.")
@click.option("-n", "--lines", "most", type=click.IntRange(1, 10_000), default=20, help="How many, at most.")
@click.option("--follow", is_flag=True, help="Go on, and show each as it is answered.")
@format_option(*status_print.FORMATS)
@config_option
def history(vm: str, since: str, failed: bool, most: int, follow: bool, form: str, file: Path | None) -> ExitCode:
    """Show power actions, newest first: those that run, then those that are over.

    Where the daemon does not answer, what it has written down is read.

    \b
    Examples:
      fence_virtctl history --failed --since 7d
      fence_virtctl history --vm node1 --format tsv
    """
    if follow and form == "html":
        raise click.UsageError("a page ends somewhere: `fence_virtctl web` is the one that goes on")
    about: dict[str, object] = {"vm": vm, "failed": failed, "most": most, "since": since_when(since, time.time())}
    began = time.time()
    found = _asked(file, about)
    _print(found, form)
    sys.stdout.flush()
    if follow:
        _follow(file, form, {fence.id for fence in found.fences}, began)
    return ExitCode.OK


def since_when(text: str, now: float) -> float | None:
    """The time of the Unix clock that is meant.  Raises BadParameter if none is."""
    if not text:
        return None
    span = re.fullmatch(r"(\d{1,6})\s*(s|min|m|h|d|w)", text)
    if span:
        return now - int(span[1]) * UNITS[span[2]]
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return time.mktime(time.strptime(text, form))
        except ValueError:
            continue
    raise click.BadParameter(f"{text!r} is neither a span such as 12h nor a date such as 2026-01-31")


def _asked(file: Path | None, about: dict[str, object]) -> HistoryStatus:
    try:
        return asked(HistoryStatus, file, "history", about)
    except NoDaemon as error:
        found = _written(file, about)
        sys.stderr.write(f"{error}\nthis is what it has written down:\n")
        return found


def _written(file: Path | None, about: dict[str, object]) -> HistoryStatus:
    from fencebus_host.control import Question
    from fencebus_host.control_desk import wanted_of
    from fencebus_host.control_history import read_file

    return HistoryStatus(VERSION, "", read_file(state_dir_of(file), wanted_of(Question("history", about))))


def _print(found: HistoryStatus, form: str) -> None:
    if form == "text" and not found.fences and not found.running:
        status_print.say("no such power action")
    elif form == "text":
        from fencebus_host.ctl.status_fences import Fences

        status_print.show(Fences(found.fences, found.running))
    else:
        from fencebus_schemas.status_tables import FENCE_HEAD, fence_rows

        status_print.tell(form, "history", found, lambda: [FENCE_HEAD, *fence_rows(found.fences, found.running)])


def _follow(file: Path | None, form: str, shown: Collection[str], began: float) -> None:
    """Each that is answered from now on, and those that were between the first look and this one."""
    try:
        for each in _answered(file, shown, began):
            _print(asked(HistoryStatus, file, "history", {"request": each, "most": 1}), form)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _answered(file: Path | None, shown: Collection[str], began: float) -> Iterable[str]:
    for event in events_of(file, {"most": LATELY}):
        is_new = event.at >= began and event.request not in shown
        if event.kind is EventKind.FENCE_FINISHED and is_new:
            yield event.request
