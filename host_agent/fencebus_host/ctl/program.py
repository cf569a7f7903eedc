"""Decides which commands fence_virtctl has, and turns whatever ends one into an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from fencebus_host.config.problems import ConfigError
from fencebus_host.control import NoDaemon
from fencebus_host.ctl.completion import completion
from fencebus_host.ctl.config_commands import config
from fencebus_host.ctl.doctor.command import doctor
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas import __version__
from fencebus_schemas.errors import FencebusError

PROGRAM = "fence_virtctl"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM)
def commands() -> None:
    """Looks after fence_virtd on this host."""


commands.add_command(config)
commands.add_command(doctor)
commands.add_command(completion)


def _status_of(error: Exception) -> ExitCode:
    if isinstance(error, ConfigError):
        return ExitCode.BAD_CONFIG
    return ExitCode.NO_DAEMON if isinstance(error, NoDaemon) else ExitCode.FAILED


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
        sys.stderr.write(f"{error}\n")
        return _status_of(error)
    return int(status or ExitCode.OK)
