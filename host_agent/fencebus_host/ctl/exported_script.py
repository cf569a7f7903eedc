"""Turns a configuration file into the shell script that makes the same file on another host; no secret is in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fencebus_host.config.bus_keys import HIDDEN, without_password
from fencebus_host.config.effective import effective
from fencebus_host.config.model import Config
from fencebus_host.config.tree import Item
from fencebus_host.config.values import paths
from fencebus_schemas.errors import FencebusError

_ANYWHERE = re.compile(r'(://[^\s"/,:]*):[^\s",]*@')
"""Also in comments, where nothing says how far a password goes: up to a blank, a quote or a comma."""

_MASKED = rf"\1:{HIDDEN}@"


class NotExportable(FencebusError):
    """A script cannot say this; ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that the configuration names, and that has to be on the other host too."""

    key: str
    """The key that names it: ``key_file``."""
    path: Path


@dataclass(frozen=True, slots=True)
class Exported:
    """What the script is made of."""

    text: str
    """The file as it stands; bytes that are no UTF-8 as surrogates."""
    items: tuple[Item, ...]
    """The same, parsed."""
    host: str
    """Where `scp` finds the files."""
    files: tuple[NamedFile, ...]
    """Those that are on this host."""
    target: Path
    """Where the text goes on the other host."""


def named_files(config: Config) -> tuple[NamedFile, ...]:
    """The files that the settings name, each once: keys, certificates, passwords, options."""
    chosen = [config, *(replace(config, backend=each) for each in config.candidates)]
    return tuple(dict.fromkeys(one for each in chosen for one in _files(effective(each))))


def without_secrets(text: str, items: Iterable[Item]) -> str:
    """``text`` with ``***`` for each password of a URL; ``items`` are the same text, parsed."""
    for value in {item.value for item in _flat(items) if item.value and "://" in item.value}:
        shown = without_password(value)
        text = text.replace(f'"{value}"', f'"{shown}"')
    return _ANYWHERE.sub(_MASKED, text)


def script(exported: Exported) -> bytes:
    """The script.  It changes nothing if it has gaps to be filled in, or if the check fails on the other host; the file
    that was there is kept.  Raises NotExportable.
    """
    if "\0" in exported.text:
        raise NotExportable("the file has a NUL byte, which no shell can write: copy the file itself")
    text = without_secrets(exported.text, exported.items)
    new, target = (_quoted(f"{exported.target}{end}") for end in (".new", ""))
    old = _quoted(f"{exported.target}.bak")
    lines = [
        "#!/bin/sh",
        f"# Makes the configuration of fence_virtd as on {_quoted(exported.host)}; run it as root on another host.",
        "set -eu",
        *_stops(exported.items, text != exported.text),
        "",
        f"mkdir -p -- {' '.join(_folders(exported))}",
        "umask 077",
        *_copies(exported),
        f"rm -f -- {new}",
        *_here_document(text, new),
        f"fence_virtctl config check {new}",
        f"if [ -e {target} ] && ! cmp -s {new} {target}; then cp -p {target} {old}; fi",
        f"mv {new} {target}",
        "systemctl reload-or-restart fence_virtd",
    ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _stops(items: tuple[Item, ...], masked: bool) -> Iterator[str]:
    """What only an administrator can know: the script refuses to guess it."""
    if masked:
        yield from _stop(f"passwords are left out: write them in the place of {HIDDEN}")
    if name := _host_name(items):
        # Two hosts with one name would each take the other's word for its own (S2, S10).
        yield from _stop(f"the host is called {name} in here: give the other one a name of its own")


def _stop(reason: str) -> tuple[str, ...]:
    return ("", f"echo {_quoted(f'{reason}, then delete this line and the next one')} >&2", "exit 1")


def _copies(exported: Exported) -> Iterator[str]:
    if exported.files:
        yield "# What stands in these files is not in here; a certificate is better made anew. Copy them before:"
    for one in exported.files:
        yield f"# scp -p {_quoted(f'{exported.host}:{one.path}')} {_quoted(one.path)}  # {one.key}"


def _here_document(text: str, file: str) -> Iterator[str]:
    end = "END_OF_CONFIGURATION"
    while end in text:
        end += "_"
    yield f"cat > {file} <<'{end}'"
    yield text.removesuffix("\n")
    yield end
    if not text.endswith("\n"):
        yield f"truncate -s -1 {file}  # its last line has no end"


def _folders(exported: Exported) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_quoted(one.parent) for one in (exported.target, *(one.path for one in exported.files))))


def _quoted(word: str | Path) -> str:
    """One word of the shell on one line: what runs on to the next would be no comment there but a command."""
    text = str(word)
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise NotExportable(f"{text!r} has a sign that would end a line of the script: give it another name")
    return shlex.quote(text)


def _host_name(items: Iterable[Item]) -> str:
    daemon = (item for item in items if item.called("fence_virtd"))
    inner = (item for section in daemon for item in section.children or ())
    return next((item.value or "" for item in inner if item.called("host_name") or item.called("host")), "")


def _files(items: Iterable[Item]) -> Iterator[NamedFile]:
    for item in _flat(items):
        if item.name.endswith("_file") and item.value:
            yield from (NamedFile(item.name, path) for path in paths(item.value))


def _flat(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _flat(item.children or ())
