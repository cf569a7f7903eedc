"""`fence_virtctl host`: the hosts that fence together; an operator's word that one is dead, or gone for good (S13)."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from fencebus_host.control_client import ask_daemon
from fencebus_host.ctl import status_print
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked, socket_of
from fencebus_host.ctl.tree import Group
from fencebus_schemas.status import VERSION, HostList, Status

DEAD = """\
You are about to vouch that the host {host} is dead.

From then on every fence of a VM that ran there succeeds without {host}'s own word, and its VMs may be started
elsewhere. If {host} still runs, two copies of a VM will write to the same disks and ruin them.

  * Silent is not dead: if only its fence_virtd has died, start that instead.
  * Make sure that the power is off, with your own eyes or through its management board.
  * Leave it off until it can reach the other hosts again. The word ends when {host} is heard.
"""
GONE = """\
You are about to end the membership of the host {host}, on all hosts.

From then on nobody is asked whether a VM runs there. If {host} still runs VMs, they can be declared off.
A host that speaks again is a member again.
"""


@click.group(cls=Group)
def host() -> None:
    """Tell of the other hosts, and what an operator alone can know of them."""


@host.command("list")
@format_option(*status_print.FORMATS)
@config_option
def list_hosts(form: str, file: Path | None) -> int:
    """Show the hosts that fence together, when each was heard, and what it was last known to run.

    \b
    Examples:
      fence_virtctl host list
      fence_virtctl host list --format json | jq .routers
    """
    if form != "text":
        _tell(form, asked(Status, file, "status", {"most": 0}))
        return ExitCode.OK
    rows = ask_daemon(socket_of(file), "hosts")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            click.echo(line_of(row))
    return ExitCode.OK


@host.command("confirm-dead")
@click.argument("name")
@config_option
def confirm_dead(name: str, file: Path | None) -> int:
    """Vouch that the host NAME is dead: fences of its VMs then succeed without it.

    Asks for the name to be typed once more. It is logged with who and when, and ends when the host is heard again.

    \b
    Example:
      fence_virtctl host confirm-dead host3
    """
    if not _typed(name, DEAD.format(host=name)):
        return ExitCode.DECLINED
    told = ask_daemon(socket_of(file), "confirm-dead", {"host": name, "who": account()})
    when = told.get("when") if isinstance(told, dict) else ""
    click.echo(f"{name} is confirmed dead since {when}, until it is heard again.")
    return ExitCode.OK


@host.command("forget")
@click.argument("name")
@click.option("--with-vms", is_flag=True, help="Also where VMs are last known to be there: that is forgotten too.")
@config_option
def forget(name: str, with_vms: bool, file: Path | None) -> int:
    """End the membership of the host NAME, which was taken out of service for good.

    Refused while VMs are last known to run there: once they are seen elsewhere they are not.

    \b
    Examples:
      fence_virtctl host forget host3
      fence_virtctl host forget --with-vms host3
    """
    if not _typed(name, GONE.format(host=name)):
        return ExitCode.DECLINED
    ask_daemon(socket_of(file), "forget-host", {"host": name, "with_vms": with_vms})
    click.echo(f"{name} is no member any more; the other hosts are told.")
    return ExitCode.OK


def _tell(form: str, found: Status) -> None:
    """The hosts, itself where it is alone; and save in lines with tabs how they know each other, as in `status`."""
    from fencebus_schemas.status_tables import HOST_HEAD, host_rows

    hosts = HostList(VERSION, found.host, found.hosts, found.routers)
    status_print.tell(form, "hosts", hosts, lambda: [HOST_HEAD, *host_rows(found.hosts)])


def _typed(name: str, warning: str) -> bool:
    click.echo(warning)
    if click.prompt("Type the host's name to go on", default="", show_default=False) == name:
        return True
    sys.stderr.write("That is not its name: nothing was done.\n")
    return False


def account() -> str:
    """Whoever became root to do this, as far as it is known."""
    sudo = os.environ.get("SUDO_USER")
    try:
        return sudo or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def line_of(row: Mapping[str, object]) -> str:
    """One host of the answer, for people."""
    told, vms = row.get("host"), row.get("vms")
    known: Mapping[str, object] = told if isinstance(told, dict) else {}
    ago = known.get("heard_ago")
    heard = f"heard {ago:.0f} s ago" if isinstance(ago, int | float) else "not heard since this daemon started"
    running = ", ".join(map(str, vms)) if isinstance(vms, list) and vms else "no VM"
    name, state, proof = (str(known.get(word) or "") for word in ("name", "state", "proof"))
    return "  ".join(part for part in (name, state, heard, f"had {running}", proof) if part)
