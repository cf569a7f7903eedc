"""Turns the text between quotes into a value of its type, or says why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from typing import TypeVar

from fencebus_host.config.problems import did_you_mean
from fencebus_schemas.errors import FencebusError

E = TypeVar("E", bound=Enum)

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_HOST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_INTERFACE = re.compile(r"[^\s/]{1,15}")


class BadValueError(FencebusError):
    """A text is not a value of the wanted type."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message, suggestion)
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        return self.message


def text(value: str) -> str:
    """Any text but the empty one."""
    if not value:
        raise BadValueError("must not be empty")
    return value


def any_text(value: str) -> str:
    """Any text."""
    return value


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from ``low`` to ``high``.  C reads "12x" as 12 and "x" as 0 (atoi); that is refused."""

    def read(value: str) -> int:
        stripped = value.strip()  # atoi and strtol step over leading blanks
        if not _WHOLE.fullmatch(stripped) or not low <= int(stripped) <= high:
            raise BadValueError(f'must be a whole number from {low} to {high}, not "{value}"')
        return int(stripped)

    return read


def switch(value: str) -> bool:
    """A C switch: 0 is off, any other whole number is on.  C reads "yes" as 0, that is off; that is refused."""
    try:
        return whole_number(-(2**31), 2**31 - 1)(value) != 0
    except BadValueError:
        hints = {"yes": '"1"', "true": '"1"', "on": '"1"', "no": '"0"', "false": '"0"', "off": '"0"'}
        hint = hints.get(value.strip().lower(), "")
        raise BadValueError(f'must be 0 or 1, not "{value}"', f"write {hint}" if hint else "") from None


def seconds(value: str) -> float:
    """A time of more than 0 and at most 3600 seconds; fractions are allowed."""
    number = float(value) if _DECIMAL.fullmatch(value) else 0.0
    if not isfinite(number) or not 0.0 < number <= 3600.0:
        raise BadValueError(f'must be seconds, more than 0 and at most 3600, not "{value}"')
    return number


def one_of(words: type[E]) -> Callable[[str], E]:
    """A reader of the words of an Enum; case does not matter (C: ``strcasecmp``)."""

    def read(value: str) -> E:
        for member in words:
            if member.value == value.lower():
                return member
        known = [str(member.value) for member in words]
        raise BadValueError(f'does not know "{value}"', did_you_mean(value, known))

    return read


def path(value: str) -> Path:
    """A path; a relative one counts from the working folder at the start."""
    if not value or "\0" in value:
        raise BadValueError("must be a path")
    return Path(value)


def absolute_path(value: str) -> Path:
    """A path from the root."""
    found = path(value)
    if not found.is_absolute():
        raise BadValueError(f'must be an absolute path, not "{value}"')
    return found


def paths(value: str) -> tuple[Path, ...]:
    """Paths with commas between them; blanks around a comma do not count."""
    return tuple(path(part.strip()) for part in value.split(","))


def words(value: str) -> tuple[str, ...]:
    """Words with commas between them, in lower case."""
    found = tuple(part.strip().lower() for part in value.split(","))
    if not all(found):
        raise BadValueError("must be one or more names with commas between them")
    return found


def host_id(value: str) -> str:
    """A host's id: no dots, because QMF names and cluster messages carry it between dots and colons."""
    if not _HOST_ID.fullmatch(value):
        short = value.split(".", 1)[0]
        hint = f'write "{short}"' if _HOST_ID.fullmatch(short) else ""
        raise BadValueError(f'must be letters, digits, "-" and "_", at most 64, not "{value}"', hint)
    return value


def interface(value: str) -> str:
    """What may be the name of a network interface (Linux: 15 bytes, no blank, no slash)."""
    if not _INTERFACE.fullmatch(value) or len(value.encode(errors="surrogateescape")) > 15:
        raise BadValueError(f'is no name that an interface can have: "{value}"')
    return value


SERIAL_LINE = re.compile(r"(2400|9600|19200|38400|57600|115200),([5-8])([nNeEoO])([12])")


def serial_line(value: str) -> tuple[int, int, str, int]:
    """Speed, data bits, parity and stop bits, in the spelling of C's client: ``115200,8N1``."""
    found = SERIAL_LINE.fullmatch(value)
    if found is None:
        raise BadValueError("must be like 115200,8N1: one of 2400 9600 19200 38400 57600 115200, 5-8, N E O, 1 2")
    return int(found[1]), int(found[2]), found[3].upper(), int(found[4])


def serial_mode_number(value: str) -> int | None:
    """The C form of the serial mode, a number; ``None`` for a word."""
    return int(value) if _WHOLE.fullmatch(value) else None


def is_source(value: str) -> bool:
    """Whether ``value`` can ever match the source of a request: an address, a network, or a vsock CID."""
    if value.isascii() and value.isdigit():
        return True
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return True
