"""Converts values to plain JSON and back, strictly: each kind of field says what it takes, and refuses all else.

The same check runs in both directions, so that nothing is sent that a peer must refuse.  Every refusal is a
``WireError`` with one of the codes ``json``, ``type``, ``range``, ``missing``.

A field that has a default is left out where it has that value, and unknown fields are ignored: so a version can add
fields with defaults and still speak with the version before (``peer_codec``).
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import Enum
from typing import Callable, NoReturn

from fencebus_schemas.errors import WireError

MOST_DIGITS = 19
GREATEST_COUNT = (1 << 63) - 1
"""What sqlite and every other language can hold, too."""
GREATEST_NUMBER = 1e15


class Kind(ABC):
    """One kind of field."""

    def plain(self, value: object) -> object:
        """What JSON holds of ``value``.  Raises WireError if it is none of this kind."""
        return self.read(value)

    @abstractmethod
    def read(self, plain: object) -> object:
        """The value that JSON held.  Raises WireError if it is none of this kind."""


class Text(Kind):
    """A string of bounded length in characters; ``printable`` where it will stand in logs as it is."""

    def __init__(self, most: int, least: int = 0, printable: bool = False) -> None:
        self._least, self._most, self._printable = least, most, printable

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, str):
            refuse("type", "text", plain)
        if not self._least <= len(plain) <= self._most or (self._printable and not plain.isprintable()):
            refuse("range", f"{self._least} to {self._most} characters", plain)
        return plain


class Remark(Text):
    """Words for people: what is too long is cut, because no answer may fail for its explanation."""

    def plain(self, value: object) -> object:
        """See ``Kind``."""
        return self.read(value[: self._most] if isinstance(value, str) else value)


class Count(Kind):
    """An integer from ``least``; a boolean is none."""

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, int) or isinstance(plain, bool):
            refuse("type", "an integer", plain)
        if not self._least <= plain <= GREATEST_COUNT:
            refuse("range", f"an integer from {self._least}", plain)
        return plain


class Number(Kind):
    """A finite number of seconds."""

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, (int, float)) or isinstance(plain, bool):
            refuse("type", "a number", plain)
        if not (math.isfinite(plain) and abs(plain) <= GREATEST_NUMBER):
            refuse("range", "a finite number", plain)
        return float(plain)


class Flag(Kind):
    """True or false."""

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, bool):
            refuse("type", "true or false", plain)
        return plain


class OneOf(Kind):
    """A member of an enumeration, by its value."""

    def __init__(self, choices: type[Enum]) -> None:
        self._choices = choices
        self._by_value = {(type(choice.value), choice.value): choice for choice in choices}

    def plain(self, value: object) -> object:
        """See ``Kind``."""
        if not isinstance(value, self._choices):
            refuse("type", self._choices.__name__, value)
        return value.value

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, (str, int)):
            refuse("type", self._choices.__name__, plain)
        choice = self._by_value.get((type(plain), plain))
        if choice is None:
            refuse("range", self._choices.__name__, plain)
        return choice


class Maybe(Kind):
    """A value or nothing."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def plain(self, value: object) -> object:
        """See ``Kind``."""
        return None if value is None else self._kind.plain(value)

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        return None if plain is None else self._kind.read(plain)


class Many(Kind):
    """A tuple of at most so many values of one kind."""

    def __init__(self, kind: Kind, most: int) -> None:
        self._kind, self._most = kind, most

    def plain(self, value: object) -> object:
        """See ``Kind``."""
        if not isinstance(value, tuple):
            refuse("type", "a tuple", value)
        if len(value) > self._most:
            refuse("range", f"at most {self._most} values", len(value))
        return [self._kind.plain(each) for each in value]

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, list):
            refuse("type", "a list", plain)
        if len(plain) > self._most:
            refuse("range", f"at most {self._most} values", len(plain))
        return tuple(self._kind.read(each) for each in plain)


class Shape(Kind):
    """A dataclass with exactly these fields."""

    def __init__(self, made: type, kinds: Mapping[str, Kind], defaults: Mapping[str, object] | None = None) -> None:
        """``defaults`` stands beside the dataclass' own."""
        self.made = made
        self._make: Callable[..., object] = made
        self.kinds = kinds
        self._defaults = {each.name: each.default for each in fields(made) if each.default is not MISSING}
        self._defaults.update(defaults or {})

    def plain(self, value: object) -> object:
        """See ``Kind``."""
        if type(value) is not self.made:
            refuse("type", self.made.__name__, value)
        held = {}
        for name, kind in self.kinds.items():
            field = getattr(value, name)
            if name not in self._defaults or field != self._defaults[name]:
                held[name] = kind.plain(field)
        return held

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, dict):
            refuse("type", self.made.__name__, plain)
        found = {}
        for name, kind in self.kinds.items():
            if name in plain:
                found[name] = kind.read(plain[name])
            elif name in self._defaults:
                found[name] = self._defaults[name]
            else:
                raise WireError("missing", f"{self.made.__name__} without {name}")
        return self._make(**found)


def dump(plain: object) -> bytes:
    """Canonical JSON: ASCII, sorted keys, no spaces."""
    return _ENCODER.encode(plain).encode("ascii")


def load(data: bytes) -> object:
    """What JSON holds; numbers are read only if they are short and finite.  Raises WireError."""
    try:
        return _DECODER.decode(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise WireError("json", f"no JSON: {type(error).__name__}") from error


def refuse(code: str, wanted: str, found: object) -> NoReturn:
    """Raise the WireError of a value that is not what it should be."""
    raise WireError(code, f"{wanted} expected, found {repr(found)[:80]}")


def _integer(digits: str) -> int:
    # A long row of digits takes quadratic time on Python 3.9.
    if len(digits) > MOST_DIGITS + 1:
        raise ValueError("too many digits")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)
