"""Decides what the commands below `fence_virtctl config` do with configuration files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fencebus_host.config.commented import render_commented
from fencebus_host.config.differences import differences
from fencebus_host.config.effective import effective
from fencebus_host.config.grammar import parse
from fencebus_host.config.load import find, load
from fencebus_host.config.model import Config
from fencebus_host.config.problems import ConfigError, Problem, Problems, Severity
from fencebus_host.config.tree import Item, render
from fencebus_host.control import ask_daemon, socket_path
from fencebus_host.ctl.convert_command import convert
from fencebus_host.ctl.doctor.findings import counted
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.export_command import export_cmd
from fencebus_host.ctl.shown_config import as_json, as_text
from fencebus_host.ctl.tree import Group
from fencebus_host.ctl.wizard.command import wizard
from fencebus_host.routers.missing import missing_libraries
from fencebus_host.state_folder import DEFAULT_CONFIG

FILE = click.Path(path_type=Path)
TEXT_OR_JSON = click.Choice(["text", "json"])


@click.group(cls=Group)
def config() -> None:
    """Check, show, compare and make the configuration of fence_virtd."""


config.add_command(convert)
config.add_command(export_cmd)
config.add_command(wizard)


@config.command()
@click.argument("file", type=FILE, required=False)
@click.option("--format", "form", type=TEXT_OR_JSON, default="text", help="How to print what is found.")
@click.pass_context
def check(context: click.Context, file: Path | None, form: str) -> ExitCode:
    """Tell everything that is wrong with FILE (default: /etc/fence_virt.conf), and what only looks odd.

    \b
    Examples:
      fence_virtctl config check
      fence_virtctl config check new.conf && mv new.conf /etc/fence_virt.conf
    """
    try:
        loaded = load(find(file))
        found: tuple[Problem, ...] = (*loaded.warnings, *missing_libraries(loaded.backend))
    except ConfigError as error:
        found = error.problems
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    click.echo(_problems_json(found) if form == "json" else _problems_text(found, errors, file or DEFAULT_CONFIG))
    return ExitCode.BAD_CONFIG if errors else ExitCode.OK


@config.command()
@click.argument("file", type=FILE, required=False)
@click.option("--format", "form", type=click.Choice(["text", "json", "conf"]), default="text", help="How to print it.")
@click.option("--comments", is_flag=True, help="With `conf`: say behind each key what it means.")
def show(file: Path | None, form: str, comments: bool) -> ExitCode:
    """Show every setting in FILE (default: /etc/fence_virt.conf) as it counts, defaults included; no key is shown.

    \b
    Examples:
      fence_virtctl config show
      fence_virtctl config show --format conf --comments > all-settings.conf
    """
    settings = load(find(file))
    if form == "conf":
        items = effective(settings)
        click.echo(render_commented(items) if comments else render(items), nl=False)
    else:
        click.echo(as_json(settings) if form == "json" else as_text(settings))
    return ExitCode.OK


@config.command()
@click.argument("old", type=FILE, required=False)
@click.argument("new", type=FILE, required=False)
@click.option("--running", is_flag=True, help="OLD is what the running daemon has, and is not named.")
@click.option("--format", "form", type=TEXT_OR_JSON, default="text", help="How to print the differences.")
def diff(old: Path | None, new: Path | None, running: bool, form: str) -> ExitCode:
    """Compare the settings of two files as they count: OLD, and NEW (default: /etc/fence_virt.conf).

    Order, comments and defaults that are written out make no difference.

    \b
    Examples:
      fence_virtctl config diff /etc/fence_virt.conf.bak
      fence_virtctl config diff old.conf new.conf --format json
      fence_virtctl config diff --running
    """
    if (running and new) or not (running or old):
        raise click.UsageError("name one file or two; with --running, at most one")
    target = _loaded(old if running else new)
    before = _running(target) if running else effective(_loaded(old))
    found = differences(before, effective(target))
    if form == "json":
        click.echo(json.dumps([{"path": one.path, "old": one.old, "new": one.new} for one in found], indent=2))
    else:
        click.echo("\n".join(map(str, found)) or "no differences")
    return ExitCode.DIFFERENT if found else ExitCode.OK


def _running(like: Config) -> tuple[Item, ...]:
    """What the daemon with the state folder of ``like`` runs with.  Raises NoDaemon."""
    text = ask_daemon(socket_path(like.daemon.state_dir), "config")
    return parse(str(text), "running", Problems())


def _loaded(file: Path | None) -> Config:
    return load(find(file))


def _problems_text(found: tuple[Problem, ...], errors: int, file: Path) -> str:
    warnings = len(found) - errors
    verdict = "fence_virtd would not start" if errors else "fence_virtd would start"
    lines = [f"{problem.severity.value:7} {problem}" for problem in found]
    return "\n".join([*lines, f"{file}: {counted(errors, 'error')}, {counted(warnings, 'warning')}: {verdict}"])


def _problems_json(found: tuple[Problem, ...]) -> str:
    rows = [
        {
            "severity": problem.severity.value,
            "code": problem.code,
            "file": problem.file,
            "line": problem.line,
            "message": problem.message,
            "suggestion": problem.suggestion,
        }
        for problem in found
    ]
    return json.dumps(rows, indent=2)
