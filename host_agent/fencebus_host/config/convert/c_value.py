"""Decides what the C programs read where a value is not one for us: C reads numbers by atoi, and cuts nothing else."""

from __future__ import annotations

import re

from fencebus_host.config.key import Key
from fencebus_host.config.values import BadValueError

_ATOI = re.compile(r"\s*([+-]?[0-9]+)", re.ASCII)
_SWITCHES = ("foreground", "wait_for_init", "wait_for_backend", "gssapi")
_NUMBERS = (*_SWITCHES, "debug", "port", "pmlib_loglevel", "mode")


def as_c_read_it(key: Key[object], value: str) -> str | None:
    """A text with C's meaning that we accept; ``None`` if C did not accept it either, or ignored it."""
    if accepted(key, value):
        return value
    if key.name not in _NUMBERS:
        return None
    found = _ATOI.match(value)
    number = found.group(1) if found else "0"
    return number if accepted(key, number) else None


def accepted(key: Key[object], value: str) -> bool:
    """Whether our reader of ``key`` takes this text."""
    try:
        key.read(value)
    except BadValueError:
        return False
    return True
