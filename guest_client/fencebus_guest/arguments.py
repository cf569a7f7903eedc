"""Converts a command line, or the lines that Pacemaker writes to standard input, to settings.

The parser is our own because ``getopt`` costs 8 ms at each start. It reads what GNU getopt reads: letters in groups,
values attached or apart, options behind other words, ``--`` as an end.
"""

from __future__ import annotations

from .failures import UsageError
from .options import (
    ATTACHED_VALUE,
    DOCTOR,
    HELP,
    IGNORED,
    JSON,
    NO_VALUE,
    VERBOSE,
    VERSION,
    Option,
    arity,
    by_letter,
    by_name,
)
from .settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Say = Callable[[str], object]

_LONG_ONLY = {name: Option("", name, "", "", setting=name) for name in (HELP, VERSION, JSON, VERBOSE, DOCTOR)}
_OUR_LETTERS = {"v": _LONG_ONLY[VERBOSE]}
"""Which C's getopt strings do not hold."""
_WITHOUT_VALUE = (*_LONG_ONLY, "debug", "use_uuid")


class CommandLine:
    """Reads one command line. ``say`` gets the remarks that are not errors."""

    def __init__(self, program: str, say: Say) -> None:
        self._program = program
        self._say = say
        self._left: list[str] = []
        self.settings = Settings()

    def read(self, arguments: list[str]) -> Settings:
        """Return the settings.

        Raises:
            UsageError: an unknown option (C exits 0 there, which its caller takes for a successful fence), a bad value.
        """
        self._left = list(arguments)
        while self._left:
            word = self._left.pop(0)
            if word == "--":
                break
            if word[:2] == "--":
                self._long(word[2:])
            elif word[:1] == "-" and len(word) > 1:
                self._letters(word[1:])
            else:
                self._left_over(word)
        for word in self._left:
            self._left_over(word)
        return self.settings

    def _left_over(self, word: str) -> None:
        self._say(f"Ignoring {word!r}: it belongs to no option")

    def _long(self, word: str) -> None:
        name, equals, text = word.partition("=")
        name = name.replace("-", "_")
        option = _LONG_ONLY.get(name) or by_name(self._program, name)
        if option is None:
            raise UsageError(f"unknown option --{name}")
        if equals:
            self.settings.take(option, text)
        elif option.setting in _WITHOUT_VALUE or option.letter == "S":
            self.settings.take(option, None)
        else:
            self.settings.take(option, self._next(f"--{name}"))

    def _letters(self, letters: str) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _OUR_LETTERS:
                self.settings.take(_OUR_LETTERS[letter], None)
                continue
            takes = arity(self._program, letter)
            option = by_letter(letter)
            if takes is None or option is None:
                raise UsageError(f"unknown option -{letter}")
            if takes == NO_VALUE:
                self.settings.take(option, None)
            elif takes == ATTACHED_VALUE:
                self.settings.take(option, letters or None)
                return
            else:
                self.settings.take(option, letters or self._next(f"-{letter}"))
                return

    def _next(self, option: str) -> str:
        if not self._left:
            raise UsageError(f"{option} needs a value")
        return self._left.pop(0)


def read_lines(program: str, lines: Iterable[str], say: Say) -> Settings:
    """Return the settings that ``name=value`` lines give; blanks around name and value do not count.

    An unknown name is a remark and no error, as in C: Pacemaker passes along more than we know. A known name without
    a value is an error: C leaves the default, and the default action is a reboot.

    Raises:
        UsageError: a bad or missing value.
    """
    settings = Settings()
    for line in lines:
        text = line.strip()
        if not text or text[0] == "#":
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        option = by_name(program, name)
        if option is not None:
            settings.take(option, value if equals else None)
        elif name.lower() not in IGNORED:
            say(f"Parse error: Ignoring unknown option '{name}'")
    return settings
