"""Finds the state folder in the text of a configuration without its parser, where the text leaves no doubt.

The parser, and all that is checked of a configuration, take longer to import than everything else that a command of
fence_virtctl does.  Wherever this reader is not sure the parser is asked, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DEFAULT_CONFIG = Path("/etc/fence_virt.conf")
DEFAULT_STATE_DIR = Path("/var/lib/fencebus")
MOST_BYTES = 1 << 20
"""A longer file is no configuration: one of a thousand groups with ten members each has 700 000."""

_BLANK = r"(?:[ \t\r\n]++|#[^\n]*+)*+"
# Possessive throughout, as the lexer of config/grammar.lark never goes back: the "#" in a name begins no comment.
_NAME = r'[^ \t\r\n{};="#][^ \t\r\n{};="]*+'
_ITEM = re.compile(
    rf'{_BLANK}(?:(?P<name>{_NAME})(?:{_BLANK}={_BLANK}"(?P<value>[^"]*+)")?+{_BLANK}(?P<end>[;{{])'
    rf"|(?P<close>\}})(?:{_BLANK};)?+)"
)
_END = re.compile(rf"{_BLANK}\Z")

Said = tuple[tuple[str, ...], str | None]
"""The path of an item in lower case, and its value; a section, which begins here, has none."""


def state_folder(file: Path) -> Path | None:
    """The state folder of a daemon with this configuration; ``None`` if only the parser can tell, or say what is wrong.

    A file with mistakes elsewhere has one all the same.
    """
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:  # a pipe could be read only once
            return None
        content = file.read_bytes()
    except OSError:
        return None
    return folder_in(content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"))


def folder_in(text: str) -> Path | None:
    """As ``state_folder``, of the text of a configuration."""
    try:
        found = _last(_items(text))
    except _DoubtError:
        return None
    return Path(found) if found.startswith("/") and "\0" not in found else None


class _DoubtError(Exception):
    """This is not for a quick reader."""


def _last(items: Iterator[Said]) -> str:
    """As everywhere (config/section.py) the last section counts, and in it the last key."""
    found = str(DEFAULT_STATE_DIR)
    for path, value in items:
        if path == ("fence_virtd",):
            if value is not None:
                raise _DoubtError
            found = str(DEFAULT_STATE_DIR)
        elif path == ("fence_virtd", "state_dir"):
            found = value or ""
    return found


def _items(text: str) -> Iterator[Said]:
    """Every item in its order.  Raises _DoubtError where the text is none of the grammar's."""
    at, inside = 0, list[str]()
    while (found := _ITEM.match(text, at)) is not None:
        at = found.end()
        if found["close"]:
            _leave(inside)
        else:
            yield from _one(found, inside)
    if inside or not at or not _END.match(text, at):
        raise _DoubtError


def _leave(inside: list[str]) -> None:
    if not inside:
        raise _DoubtError
    inside.pop()


def _one(found: re.Match[str], inside: list[str]) -> Iterator[Said]:
    name, value = found["name"].lower(), found["value"]
    opens = found["end"] == "{"
    if value is None and not opens:
        raise _DoubtError
    yield (*inside, name), None if opens else value
    if opens:
        inside.append(name)
