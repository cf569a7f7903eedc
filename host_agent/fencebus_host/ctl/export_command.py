"""Decides what `fence_virtctl config export-cmd` reads and prints."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from fencebus_host.config.grammar import parse
from fencebus_host.config.load import find, load
from fencebus_host.config.problems import Problems
from fencebus_host.config.regular_file import is_absent, read_regular
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.exported_script import Exported, NotExportable, named_files, script
from fencebus_host.state_folder import DEFAULT_CONFIG, MOST_BYTES

FILE = click.Path(path_type=Path)


@click.command("export-cmd")
@click.argument("file", type=FILE, required=False)
@click.option("--to", "target", type=FILE, default=DEFAULT_CONFIG, help="Where the file goes on the other host.")
def export_cmd(file: Path | None, target: Path) -> ExitCode:
    """Print the shell commands that make FILE (default: /etc/fence_virt.conf) on another host.

    Keys and passwords are not in them; what to copy is. They change nothing where `config check` finds an error.

    \b
    Examples:
      fence_virtctl config export-cmd > make-it.sh
      fence_virtctl config export-cmd new.conf | ssh root@other-host sh
    """
    if not target.is_absolute():
        raise click.UsageError("--to takes a path from the root")
    click.echo(script(_exported(find(file), target)), nl=False)
    return ExitCode.OK


def _exported(file: Path | None, target: Path) -> Exported:
    """What is to be exported; ConfigError if the daemon would not start with it here."""
    if file is None:
        raise NotExportable(f"there is no {DEFAULT_CONFIG}: the defaults count, as on another host without one")
    files = tuple(one for one in named_files(load(file)) if not is_absent(one.path))
    content, _ = read_regular(file, MOST_BYTES)
    text = content.decode("utf-8", "surrogateescape")
    items = parse(text.removeprefix("\ufeff"), str(file), Problems())
    return Exported(text, items, socket.gethostname(), files, target)
