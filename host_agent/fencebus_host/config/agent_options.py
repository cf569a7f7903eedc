"""Turns a fence agent's options file into keys and values, and says what must not stand there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fencebus_host.config.fence_agent_settings import Options
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.regular_file import read_regular

MOST_BYTES = 32 << 10

_OURS = "this is what fence_virtd tells the agent itself"
_REFUSED = {
    "action": _OURS,
    "option": _OURS,
    "plug": _OURS,
    "port": f"{_OURS}; a TCP port is `ipport`",
    "nodename": _OURS,
    "separator": _OURS,
    "plug_separator": "one request must not be able to mean two VMs",
    "delay": "a delay belongs to the guests' own cluster; here it uses up the time of the request",
    "missing_as_off": "a VM that nobody knows is not off",
    "debug": "it would write passwords to a file",
    "debug_file": "it would write passwords to a file",
}


def read_options(file: Path, where: Where, problems: Problems) -> Options:
    """The options in ``file``; what is wrong is reported, without a value, as values may be passwords."""
    try:
        content, status = read_regular(file, MOST_BYTES + 1)
    except OSError as error:
        problems.error(where, "bad-options", f"cannot read the options {file}: {error.strerror or error}")
        return ()
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid not in (0, os.geteuid()):
        text = f"others than its owner may use the options {file}, or their owner is somebody else"
        problems.error(where, "open-options", text, f"chown root {file}; chmod 600 {file}")
        return ()
    if len(content) > MOST_BYTES:
        problems.error(where, "bad-options", f"the options {file} have more than {MOST_BYTES} bytes")
        return ()
    return parse_options(content.decode("utf-8", "surrogateescape"), str(file), problems)


def parse_options(text: str, file: str, problems: Problems) -> Options:
    """``key=value`` lines, as an agent reads them: blanks around a line do not count, ``#`` begins a comment line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        key, equals, value = plain.partition("=")
        key = key.strip().lower()
        trouble = _trouble(key, equals, value, found)
        if trouble:
            problems.error(Where(file, number), "bad-options", trouble)
        else:
            found[key] = value.strip()
    return tuple(found.items())


def _trouble(key: str, equals: str, value: str, found: dict[str, str]) -> str:
    name = key.replace("-", "_")
    if not equals or not name.isascii() or not name.isidentifier():
        return "a line must be `key=value`"
    if name in _REFUSED:
        return f"`{key}` must not stand here: {_REFUSED[name]}"
    if name in {each.replace("-", "_") for each in found}:
        return f"`{key}` is there twice"
    return "" if value.isprintable() else f"`{key}` has a value with signs that cannot be printed"
