"""Turns the tree of commands into the script with which bash or zsh completes them."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.errors import FencebusError

VARIABLE = "_FENCE_VIRTCTL_COMPLETE"
PATIENCE = 1.0
"""Seconds: nobody waits longer after a press of the tabulator."""
MOST = 500


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> ExitCode:
    """Print the script that makes SHELL complete commands, options and files.

    \b
    Examples:
      source <(fence_virtctl completion bash)
      fence_virtctl completion zsh > /usr/share/zsh/site-functions/_fence_virtctl
    """
    kind = get_completion_class(shell)
    root = context.find_root()
    if kind is None:
        return ExitCode.FAILED
    click.echo(kind(root.command, {}, root.info_name or "fence_virtctl", VARIABLE).source())
    return ExitCode.OK


def vm_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of VMs that begin like this, from the daemon that runs; nothing where there is none."""
    from fencebus_host.ctl.status_source import asked
    from fencebus_schemas.status import Status

    file: Path | None = context.params.get("file")
    try:
        return [
            vm.name for vm in asked(Status, file, "status", {"names": [f"{incomplete}*"], "most": MOST}, PATIENCE).vms
        ]
    except FencebusError:
        return []
