"""Converts the command line of fencebus-agentd to what it is to do."""

from __future__ import annotations

import argparse
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fencebus_agent.bus_at import speaks
from fencebus_schemas import __version__
from fencebus_schemas.bus_url import BadBusUrl, Tls
from fencebus_schemas.errors import FencebusError

PROGRAM = "fencebus-agentd"
BUS_VARIABLE = "FENCEBUS_BUS"
"""In the environment: a URL with a password stands in no list of processes."""
DEFAULT_URI = "qemu:///system"
STATE_FOLDER = Path("/var/lib/fencebus")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Option:
    """One option, for the command line and for the man page."""

    letter: str
    name: str
    text: str
    metavar: str = ""
    """Empty: it takes no value."""


OPTIONS = (
    Option("b", "bus", f"the bus, or several tried in turn, with commas (default: the variable {BUS_VARIABLE})", "URL"),
    Option("u", "uri", f"libvirt's URI of the hypervisor (default: {DEFAULT_URI})", "URI"),
    Option("n", "name", "this host's name among hosts (default: the system's, up to its first dot)", "HOST"),
    Option("q", "domain", "the QMF domain (default: default)", "NAME"),
    Option("s", "state-dir", f"where the runs of the agent are counted (default: {STATE_FOLDER})", "FOLDER"),
    Option("A", "ca-file", "the authorities that the broker's certificate is checked by", "FILE"),
    Option("C", "cert-file", "this host's certificate", "FILE"),
    Option("K", "certkey-file", "its private key", "FILE"),
    Option("d", "debug", "log more"),
    Option("V", "version", "print the version"),
    Option("h", "help", "print this"),
)


class UsageError(FencebusError):
    """The command line cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{PROGRAM}: {self.message}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Nothing is to be run: this is to be printed."""

    text: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be run."""

    bus: str
    """URLs with commas in between, whose kind this version knows."""
    uri: str
    host: str
    domain: str
    state_dir: Path
    tls: Tls
    debug: bool


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would end the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Errand | Answer:
    """What the arguments, without the program's name, ask for.  Raises UsageError."""
    parser = _parser()
    found = parser.parse_args(list(arguments))
    if found.help:
        return Answer(parser.format_help())
    if found.version:
        return Answer(f"{PROGRAM} (fencebus) {__version__}\n")
    return Errand(
        bus=_bus(found.bus or environment.get(BUS_VARIABLE, "")),
        uri=found.uri or DEFAULT_URI,
        host=_name(found.name or socket.gethostname().split(".", 1)[0], _HOST, "--name"),
        domain=_name(found.domain or "default", _DOMAIN, "--domain"),
        state_dir=Path(found.state_dir or STATE_FOLDER),
        tls=Tls(found.ca_file, found.cert_file, found.certkey_file),
        debug=found.debug,
    )


def _parser() -> _Parser:
    text = "Shows this host's virtual machines on the cluster's bus, as a QMF agent that nobody can command."
    parser = _Parser(PROGRAM, add_help=False, allow_abbrev=False, description=text)
    for each in OPTIONS:
        names = (f"-{each.letter}", f"--{each.name}")
        if each.metavar:
            parser.add_argument(*names, metavar=each.metavar, help=each.text)
        else:
            parser.add_argument(*names, action="store_true", help=each.text)
    return parser


def _bus(urls: str) -> str:
    if not urls:
        raise UsageError(f"no bus: give --bus URL, or the variable {BUS_VARIABLE}")
    try:
        speaks(urls)
    except BadBusUrl as error:
        raise UsageError(f"--bus: {error}") from error
    return urls


def _name(text: str, pattern: re.Pattern[str], option: str) -> str:
    if not pattern.fullmatch(text):
        raise UsageError(f"{option}: {text[:80]!r} is no name: letters, digits, - and _ are")
    return text
