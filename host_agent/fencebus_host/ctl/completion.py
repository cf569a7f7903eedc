"""Turns the tree of commands into the script with which bash or zsh completes them."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from fencebus_host.ctl.exit_codes import ExitCode

VARIABLE = "_FENCE_VIRTCTL_COMPLETE"


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
