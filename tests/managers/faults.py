"""Words for what can be wrong between a client and the stand-in, and the list of what is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum


class Wrong(Enum):
    """What happens instead of an answer, or beside it."""

    HANG = "hang"
    """The request is not looked at, and never answered."""
    HANG_AFTER = "hang after"
    """It is carried out, and never answered."""
    RESET = "reset"
    """The connection ends without an answer."""
    UNAVAILABLE = "503"
    """The web server is there, the engine is not."""
    STARTING = "404"
    """The engine's application is not there yet: 404 and a page for everything."""
    NOTHING = "200 and nothing"
    """The answer says that it was done; it was not."""
    GARBAGE = "garbage"
    DOCTYPE = "doctype"
    REDIRECT = "redirect"
    ANOTHER = "another"
    """The answer is about another VM."""
    FAILED = "failed"
    """The general word for "it did not work": 400."""
    SLOW = "slow"
    """A second passes before the answer."""
    ENDLESS = "endless"
    """An answer that does not end."""


@dataclass(slots=True)
class Trap:
    """The next ``times`` requests that match go wrong."""

    wrong: Wrong
    pattern: str
    """Of ``METHOD PATH``."""
    times: int


@dataclass(slots=True)
class Traps:
    """What is set."""

    set: list[Trap] = field(default_factory=list)

    def add(self, wrong: Wrong, pattern: str = ".*", times: int = 1_000_000) -> None:
        """From now on, matching requests go wrong."""
        self.set.append(Trap(wrong, pattern, times))

    def clear(self) -> None:
        """Everything goes right from now on."""
        self.set.clear()

    def sprung(self, request: str) -> Wrong | None:
        """What goes wrong with this request; counts it."""
        for trap in self.set:
            if trap.times > 0 and re.search(trap.pattern, request):
                trap.times -= 1
                return trap.wrong
        return None
