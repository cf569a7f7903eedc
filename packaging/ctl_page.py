"""Converts fence_virtctl's tree of commands to the man page fence_virtctl(8)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
import roff

from fencebus_host.ctl.program import PROGRAM, commands
from fencebus_schemas import __version__


def page() -> str:
    """Return the page, in roff."""
    return click_page(PROGRAM, "looks after fence_virtd", commands) + roff.see_also(
        "fence_virtd(8)", "fence_virt.conf(5)"
    )


def click_page(program: str, meaning: str, tree: click.Group, text: str = "") -> str:
    """Return the page of a program with commands, up to what else to see."""
    return (
        roff.page(program, 8, meaning, __version__)
        + roff.heading("SYNOPSIS")
        + f"\\fB{roff.escaped(program)}\\fR command [options] [arguments]\n"
        + (roff.heading("DESCRIPTION") + roff.paragraphs(text) if text else "")
        + roff.heading("COMMANDS")
        + "".join(_command(name, command) for name, command in leaves(tree, ""))
    )


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, f"{path} {name}".lstrip())


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    arguments = " ".join(piece for piece in command.collect_usage_pieces(context))
    records = [record for each in command.params if (record := each.get_help_record(context))]
    options = "".join(roff.tagged(names, text) for names, text in records)
    return roff.subheading(f"{path} {arguments}".rstrip()) + _text(command.help or "") + options


def _text(help_text: str) -> str:
    """A command's help: click marks with a backspace the paragraphs whose lines stay as they are."""
    blocks = inspect.cleandoc(help_text).split("\n\n")
    plain = [block for block in blocks if not block.startswith("\b")]
    kept = [line for block in blocks if block.startswith("\b") for line in block.splitlines()[1:]]
    return roff.paragraphs(*plain) + (".PP\n" + roff.example(kept) if kept else "")
