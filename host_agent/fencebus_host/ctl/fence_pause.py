"""`fence_virtctl pause` and `resume`: no fencing while somebody works on the machines."""

from __future__ import annotations

import time
from pathlib import Path

import click

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.history_command import since_when
from fencebus_host.ctl.options import config_option
from fencebus_host.ctl.status_source import asked
from fencebus_schemas.status import PauseStatus
from fencebus_schemas.status_tables import age, clock


@click.command()
@click.argument("why", default="")
@click.option("--for", "span", default="", help="End by itself after 10min, 2h, 1d; without it, only at `resume`.")
@config_option
def pause(why: str, span: str, file: Path | None) -> ExitCode:
    """Refuse every power action that arrives at this host, with WHY as its reason, also after a restart of the daemon.

    Actions that have begun go on; `status`, `list` and `monitor` are answered; what other hosts order of this one for
    requests that they have accepted is carried out.

    \b
    Examples:
      fence_virtctl pause "switch upgrade" --for 2h
      fence_virtctl resume
    """
    now = time.time()
    started = since_when(span, now)
    about = {"why": why, "seconds": None if started is None else now - started}
    found = asked(PauseStatus, file, "pause", about)
    until = f"until {clock(found.until)}" if found.until is not None else "until `fence_virtctl resume`"
    click.echo(f"fencing is paused {until}: guests get a failure, with the reason `paused`")
    return ExitCode.OK


@click.command()
@config_option
def resume(file: Path | None) -> ExitCode:
    """End a pause: power actions are taken again.

    \b
    Examples:
      fence_virtctl resume
    """
    before = asked(PauseStatus, file, "resume")
    click.echo(f"fencing goes on; it was paused for {age(time.time() - before.since)}")
    return ExitCode.OK
