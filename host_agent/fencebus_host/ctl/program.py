"""Decides which commands fence_virtctl has, and turns whatever ends one into an exit status."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from fencebus_host.control_client import NoDaemon
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.tree import Group
from fencebus_schemas import __version__
from fencebus_schemas.errors import FencebusError

PROGRAM = "fence_virtctl"
COMMANDS = {
    "status": "status_command",
    "owners": "status_owners",
    "history": "history_command",
    "explain": "explain_command",
    "events": "events_command",
    "web": "web_command",
    "fence": "fence_commands",
    "test-fence": "fence_commands",
    "pause": "fence_pause",
    "resume": "fence_pause",
    "host": "host_commands",
    "config": "config_commands",
    "doctor": "doctor.command",
    "completion": "completion",
}
"""Each command, which is called as the function that carries it out, and its module, which is imported when it is used:
whoever asks for the status does not wait for the doctor.
"""


class Commands(Group):
    """The tree of commands, without its leaves until they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"fencebus_host.ctl.{COMMANDS[cmd_name]}")
        found = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM)
def commands() -> None:
    """Looks after fence_virtd on this host."""


def _status_of(error: Exception) -> ExitCode:
    if isinstance(error, NoDaemon):
        return ExitCode.NO_DAEMON
    from fencebus_host.config.problems import ConfigError

    return ExitCode.BAD_CONFIG if isinstance(error, ConfigError) else ExitCode.FAILED


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def run(arguments: Sequence[str]) -> int:
    """Run the command line (without the program's name) and return the exit status."""
    try:
        status = commands.main(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write(f"{PROGRAM}: interrupted; nothing was written\n")
        return ExitCode.DECLINED
    except (FencebusError, OSError) as error:
        sys.stderr.write(f"{_words(error)}\n")
        return _status_of(error)
    return int(status or ExitCode.OK)
