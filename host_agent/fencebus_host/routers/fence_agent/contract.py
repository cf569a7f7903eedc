"""Converts an order into a fence agent's stdin, and its exit status and words into what it said.  Pure.

The contract is fence-agents' (facts: managers 6.1): ``key=value`` lines on stdin, the last value wins; exit status 0
is done or ON, 2 is OFF for ``status`` alone, everything else has failed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

Options = tuple[tuple[str, str], ...]
"""The administrator's keys and values, in the order of the file."""

SEPARATOR = "|=|"
"""Between the columns of a list, where the agent lets us choose: no name holds it."""
_STATUS = re.compile(r"^\s*status:\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_MOST_SAID = 200
_SECRET = re.compile(r"pass|secret|token|login|user|key|credential|sid|cookie")
_SHORTEST_SECRET = 3


class Verb(Enum):
    """What an agent is asked to do.  Never its own ``reboot``: ours is a proven off and a start (S5)."""

    OFF = "off"
    ON = "on"
    STATUS = "status"
    LIST = "list"
    LIST_STATUS = "list-status"
    MONITOR = "monitor"
    METADATA = "metadata"

    @property
    def changes(self) -> bool:
        """True for what changes the power of a VM."""
        return self in (Verb.OFF, Verb.ON)


class Power(Enum):
    """What a ``status`` has said."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


NO_TIME = "it had not ended when its time was over"
"""Why a run was ended, for people."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One run of an agent that is over."""

    status: int | None
    """The exit status, negative for a signal's number; ``None`` if it had to be ended, so that nothing is known."""
    output: str = ""
    complaint: str = ""
    """The end of what it wrote to stderr."""
    ended_for: str = ""
    """Why it had to be ended: no time left, or too much output."""

    @property
    def cut_off(self) -> bool:
        """It had no time: nothing is wrong with what was run."""
        return self.ended_for == NO_TIME

    @property
    def done(self) -> bool:
        """Whether it says that it did what it was told."""
        return self.status == 0

    @property
    def trouble(self) -> str:
        """Why it failed, in its own words where it has any."""
        if self.status is None:
            return self.ended_for
        ended = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        return f"{ended}: {self._last_words}" if self._last_words else ended

    @property
    def _last_words(self) -> str:
        lines = [line.strip() for line in (self.complaint.strip() or self.output.strip()).splitlines() if line.strip()]
        return _printable(lines[-1])[:_MOST_SAID] if lines else ""


def power_of(run: Finished) -> Power:
    """What a run of ``status`` proves.

    Exit status 2 alone is not OFF: a shell or an interpreter that cannot read the agent's program ends with 2 as well.
    It is OFF only with the word for it, and ON only without a word against it.
    """
    said = {word.upper() for word in _STATUS.findall(run.output)}
    if run.status == 2 and said == {"OFF"}:
        return Power.OFF
    if run.status == 0 and said <= {"ON"}:
        return Power.ON
    return Power.UNKNOWN


def secrets_of(options: Options) -> tuple[str, ...]:
    """The values that must not be told, the longest first: an agent that is told to be verbose writes what it sends."""
    found = {value for key, value in options if _SECRET.search(key.lower()) and len(value) >= _SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def without(secrets: tuple[str, ...], text: str) -> str:
    """The text with each secret struck out."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def stdin_text(options: Options, verb: Verb, ours: Options = ()) -> bytes:
    """What the agent reads: the administrator's options, then what is ours, which wins."""
    lines = [f"{key}={value}\n" for key, value in (*options, *ours, ("action", verb.value))]
    return "".join(lines).encode("utf-8", "surrogateescape")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
