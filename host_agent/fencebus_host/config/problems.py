"""Words for what is wrong in a configuration: one problem, the list of them, and the error that carries the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum

from fencebus_schemas.errors import FencebusError


class Severity(Enum):
    """Whether the daemon starts in spite of the problem."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a file; lines count from 1, and line 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, fit for people (``str()``) and for programs (``code`` is stable)."""

    code: str
    message: str
    where: Where
    suggestion: str = ""
    severity: Severity = Severity.ERROR

    @property
    def file(self) -> str:
        """The file in which the problem is, as it was named to the daemon."""
        return self.where.file

    @property
    def line(self) -> int:
        """The line of the problem, from 1; 0 if it concerns the file as a whole."""
        return self.where.line

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.where}: {self.code}: {self.message}{hint}"


class ConfigError(FencebusError):
    """The configuration cannot be used (S10).  ``problems`` holds all that is wrong with it, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class Problems:
    """Collects problems while a configuration is read, so that all of them are told at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def error(self, where: Where, code: str, message: str, suggestion: str = "") -> None:
        """Add what keeps the daemon from starting."""
        self._found.append(Problem(code, message, where, suggestion))

    def warning(self, where: Where, code: str, message: str, suggestion: str = "") -> None:
        """Add what the administrator should know, but what is safe to start with."""
        self._found.append(Problem(code, message, where, suggestion, Severity.WARNING))

    def take(self, other: Problems) -> None:
        """Add everything that ``other`` found, as it is."""
        self._found += other._found

    def take_as_warnings(self, other: Problems) -> None:
        """Add everything that ``other`` found in a part that is not used, as warnings."""
        self._found += [replace(problem, severity=Severity.WARNING) for problem in other._found]

    @property
    def has_errors(self) -> bool:
        """True if the daemon must not start."""
        return any(problem.severity is Severity.ERROR for problem in self._found)

    def in_order(self) -> tuple[Problem, ...]:
        """Everything found, by file and line."""
        return tuple(sorted(self._found, key=lambda problem: problem.where))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the known word nearest to ``word``, else a list of what is known; empty if nothing is."""
    names = sorted(set(known))
    near = get_close_matches(word.lower(), names, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(names)}" if names else ""
