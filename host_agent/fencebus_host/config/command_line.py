"""Turns the daemon's command line into what to do: run with these settings, or print an answer and end."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fencebus_host.config.key_table import BACKEND_SECTIONS, LISTENER_SECTIONS
from fencebus_host.config.values import BadValueError, whole_number
from fencebus_schemas import __version__
from fencebus_schemas.errors import FencebusError

PROGRAM = "fence_virtd"


@dataclass(frozen=True, slots=True)
class Invocation:
    """Run the daemon.  What is ``None`` or false here is left to the configuration file."""

    config: Path | None = None
    """The file that was named; ``None`` leaves the choice to ``find()``."""
    foreground: bool = False
    debug: int | None = None
    wait_for_init: bool = False
    pid_file: Path | None = None
    """``None``: the usual place for this program's name."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Print ``text`` (on stderr if ``status`` is not 0) and end with the exit status ``status``."""

    text: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class Configure:
    """Run the wizard (``-c``), which writes ``config``; ``None`` is the usual file."""

    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Explain:
    """Print which router is taken here, and why (``--explain-discovery``)."""

    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """The kinds of listeners and backends that this daemon can run, for ``-l``."""

    listeners: tuple[str, ...] = tuple(section.name for section in LISTENER_SECTIONS)
    backends: tuple[str, ...] = tuple(section.name for section in BACKEND_SECTIONS)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: the parser, the help, the man page and the completion are made of it."""

    letter: str
    name: str
    text: str
    metavar: str = ""
    read: Callable[[str], Path | int] | None = None
    """Turns the value's text into the value; ``None`` for an option without one."""


class UsageError(FencebusError):
    """The command line makes no sense."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, usage)
        self.message = message
        self.usage = usage

    def __str__(self) -> str:
        return f"{self.usage}{PROGRAM}: {self.message}"


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.format_usage())


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a file must have a name")
    # A daemon in the background leaves the folder in which it was started.
    return Path(text).absolute()


def _level(text: str) -> int:
    try:
        return whole_number(0, 2**31 - 1)(text)
    except BadValueError as error:
        raise argparse.ArgumentTypeError(f"the level {error}") from None


OPTIONS = (
    Option("F", "foreground", "do not become a background process"),
    Option("f", "config", "the configuration file (default: /etc/fence_virt.conf)", "FILE", _path),
    Option("d", "debug", "how much is logged, from 0", "N", _level),
    Option("c", "configure", "look at this host and make a configuration"),
    Option("w", "wait-for-init", "wait for what is not ready yet, rather than give up"),
    Option("n", "dry-run", "end and start nothing: every power action fails, and the log says what it would have done"),
    Option("l", "list", "list the listeners and the backends"),
    Option("e", "explain-discovery", "print what was looked for on this host, and which router is taken"),
    Option("p", "pid-file", "where to write the process id", "FILE", _path),
    Option("V", "version", "print the version"),
    Option("h", "help", "print this"),
)


def read(arguments: Sequence[str], offer: Offer | None = None) -> Invocation | Configure | Explain | Answer:
    """What the ``arguments`` (without the program's name) ask for.

    A mistake is answered with exit status 1, where C prints its usage and exits 0: a typing error in a unit file must
    not look like a daemon that ended well.
    """
    parser = _parser()
    try:
        found = parser.parse_args(list(arguments))
    except UsageError as error:
        return Answer(f"{error}\n", 1)
    if found.help:
        return Answer(parser.format_help())
    if found.version:
        return Answer(f"{PROGRAM} (fencebus) {__version__}\n")
    if found.list:
        return Answer(_listing(offer or Offer()))
    if found.configure:
        return Configure(found.config)
    if found.explain_discovery:
        return Explain(found.config)
    return Invocation(
        *(found.config, found.foreground, found.debug, found.wait_for_init, found.pid_file), dry_run=found.dry_run
    )


def _parser() -> _Parser:
    parser = _Parser(PROGRAM, add_help=False, allow_abbrev=False, description="Answers fence requests of guests.")
    for each in OPTIONS:
        names = (f"-{each.letter}", f"--{each.name}")
        if each.read is None:
            parser.add_argument(*names, action="store_true", help=each.text)
        else:
            parser.add_argument(*names, type=each.read, metavar=each.metavar, help=each.text)
    return parser


def _listing(offer: Offer) -> str:
    meanings = {section.name: section.meaning for section in (*LISTENER_SECTIONS, *BACKEND_SECTIONS)}
    lines = ["Listeners:", *(f"  {name:13} {meanings.get(name, '')}" for name in offer.listeners)]
    lines += ["Backends:", *(f"  {name:13} {meanings.get(name, '')}" for name in offer.backends)]
    return "\n".join(line.rstrip() for line in lines) + "\n"
