"""`fence_virtctl status`: how the daemon and everything that it knows of stands, once or again and again."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencebus_host.ctl import status_print
from fencebus_host.ctl.completion import vm_names
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked
from fencebus_host.ctl.watching import watch
from fencebus_schemas.status import Health, Status

if TYPE_CHECKING:
    from rich.console import RenderableType

EXIT = {Health.OK: ExitCode.OK, Health.WARN: ExitCode.WARNING, Health.ERROR: ExitCode.BROKEN}
NAGIOS = {Health.OK: (0, "OK"), Health.WARN: (1, "WARNING"), Health.ERROR: (2, "CRITICAL")}
"""The exit statuses that monitoring programs expect of a plug-in."""
LIMIT = 40
"""VMs that are shown to people unless they want more."""
MANY = 300
"""From here on a table is plain lines: a pretty one of ten thousand rows takes seconds."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be shown, and how."""

    file: Path | None
    names: tuple[str, ...]
    form: str = "text"
    by: str = "vm"
    host: str = ""
    cluster: str = ""
    problems: bool = False
    every: bool = False

    @property
    def is_a_choice(self) -> bool:
        """Whether a VM has to fit something to be shown."""
        return bool(self.names or self.host or self.cluster or self.problems)

    @property
    def most(self) -> int | None:
        """How many VMs are asked for: programs get all of them."""
        return LIMIT if self.form == "text" and not self.every else None


@click.command()
@click.argument("names", nargs=-1, shell_complete=vm_names)
@click.option("--by", type=click.Choice(["vm", "host", "cluster"]), default="vm", help="Which VMs stand together.")
@click.option("--host", default="", help="Only VMs that this host has or knows.")
@click.option("--cluster", default="", help="Only VMs of this guest cluster.")
@click.option("--problems", is_flag=True, help="Only VMs with something odd about them.")
@click.option("--all", "every", is_flag=True, help=f"All VMs, not only {LIMIT}.")
@click.option("--watch", "seconds", type=click.FloatRange(0.2), is_flag=False, flag_value=2.0, help="Again and again.")
@click.option("--nagios", is_flag=True, help="One line, and the exit status of a plug-in.")
@click.option("--html", is_flag=True, help="One page in one file, as --format html.")
@format_option("text", "json", "xml", "html", "tsv")
@config_option
def status(
    names: tuple[str, ...],
    by: str,
    host: str,
    cluster: str,
    problems: bool,
    every: bool,
    seconds: float | None,
    nagios: bool,
    html: bool,
    form: str,
    file: Path | None,
) -> int:
    """Tell how fencing stands: hosts, VMs, listeners, running and last fences.

    NAMES are VMs: names, beginnings of UUIDs, or patterns. The exit status is 0, 5 (a warning) or 6 (an error).

    \b
    Examples:
      fence_virtctl status 'web*' --by host
      fence_virtctl status --watch --problems
      fence_virtctl status --format json | jq .health
    """
    chosen = Chosen(file, names, "html" if html else form, by, host, cluster, problems, every)
    if nagios:
        return _nagios(chosen)
    if seconds is not None:
        return watch(lambda: _text(chosen), seconds)
    found = ask(chosen)
    _print(found, chosen)
    return EXIT[found.health]


def ask(chosen: Chosen) -> Status:
    """The daemon's answer.  Raises NoDaemon."""
    about: dict[str, object] = {"names": list(chosen.names), "host": chosen.host, "cluster": chosen.cluster}
    about |= {"problems": chosen.problems, "most": chosen.most}
    return asked(Status, chosen.file, "status", about)


def _text(chosen: Chosen) -> RenderableType:
    from fencebus_host.ctl.status_text import status_text

    return status_text(ask(chosen), chosen.by, limited=chosen.most is not None, chosen=chosen.is_a_choice)


def _print(found: Status, chosen: Chosen) -> None:
    if chosen.form == "text":
        _print_text(found, chosen)
    elif chosen.form == "json":
        status_print.say(status_print.as_json(found))
    elif chosen.form == "xml":
        status_print.say(status_print.as_xml("status", found))
    elif chosen.form == "html":
        from fencebus_host.web.snapshot import snapshot

        status_print.say(snapshot(found).rstrip("\n"))
    else:
        from fencebus_schemas.status_tables import VM_HEAD, vm_rows

        status_print.say(status_print.as_tsv([VM_HEAD, *vm_rows(found.vms)]))


def _print_text(found: Status, chosen: Chosen) -> None:
    from fencebus_host.ctl.status_text import status_text, vm_lines

    if len(found.vms) <= MANY:
        limited = chosen.most is not None
        status_print.show(status_text(found, chosen.by, limited=limited, chosen=chosen.is_a_choice))
        return
    status_print.show(status_text(replace(found, vms=()), chosen.by, limited=False))
    status_print.page(vm_lines(found.vms, chosen.by))


def _nagios(chosen: Chosen) -> int:
    """One line; a daemon that does not answer is critical, because nothing is fenced."""
    from fencebus_host.control_client import NoDaemon
    from fencebus_schemas.status_tables import many

    try:
        found = ask(chosen)
    except NoDaemon as error:
        sys.stdout.write(f"FENCEBUS CRITICAL: {error}\n")
        return 2
    number, word = NAGIOS[found.health]
    text = (
        "; ".join(one.text for one in found.problems)
        or f"{many(len(found.hosts), 'host')}, {many(found.vms_known, 'VM')}"
    )
    counted = " ".join(f"{one.state}={one.vms}" for one in found.states)
    sys.stdout.write(f"FENCEBUS {word}: {text} | vms={found.vms_known} {counted}\n".replace(" \n", "\n"))
    return number
