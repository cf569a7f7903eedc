"""`fence_virtctl events`: what happens, as it happens."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import events_of
from fencebus_schemas.status import EventStatus
from fencebus_schemas.status_plain import to_plain
from fencebus_schemas.status_tables import clock, event_row, tsv, visible
from fencebus_schemas.status_xml import to_xml_line


@click.command()
@click.option("--follow", is_flag=True, help="Go on, and show each event as it comes.")
@click.option("-n", "--lines", "most", type=click.IntRange(0, 1000), default=20, help="How many of the last ones.")
@format_option("text", "json", "xml", "tsv")
@config_option
def events(follow: bool, most: int, form: str, file: Path | None) -> ExitCode:
    """Show what happened to hosts, VMs, fences and the daemon since it started, one event a line.

    \b
    Examples:
      fence_virtctl events --follow
      fence_virtctl events --follow --format json | jq .text
    """
    try:
        for event in events_of(file, {"most": most, "stop": not follow}):
            _say(event, form)
    except KeyboardInterrupt:
        return ExitCode.OK
    return ExitCode.OK


def _say(event: EventStatus, form: str) -> None:
    if form == "json":
        line = json.dumps(to_plain(event), ensure_ascii=False) + "\n"
    elif form == "xml":
        line = to_xml_line("event", event) + "\n"
    elif form == "tsv":
        line = tsv([event_row(event)])
    else:
        line = f"{clock(event.at)[:19]}  {event.kind.value:15} {visible(event.text)}\n"
    sys.stdout.write(line)
    sys.stdout.flush()
