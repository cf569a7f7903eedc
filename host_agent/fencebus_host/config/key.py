"""Words of the table of keys: a key, a section with keys, and who knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class KnownBy(Enum):
    """Which program reads a key."""

    BOTH = "C and fencebus"
    OURS = "fencebus"
    C_ONLY = "C; without effect here (warning)"


@dataclass(frozen=True, slots=True)
class Key(Generic[T_co]):
    """One key of a section."""

    name: str
    read: Callable[[str], T_co]
    default: T_co
    shown: str
    """The default as the documentation shows it."""
    meaning: str
    known_by: KnownBy = KnownBy.BOTH
    repeats: bool = False
    """True if every occurrence counts; else the last one in the file does, as in C."""
    numbered: bool = False
    """True if ``name1``, ``name2`` ... continue it."""

    def matches(self, name: str) -> bool:
        """Whether an item called ``name`` is this key."""
        lower = name.lower()
        return lower == self.name or (
            self.numbered and lower.startswith(self.name) and lower[len(self.name) :].isdigit()
        )


@dataclass(frozen=True, slots=True)
class Section:
    """One section with keys, by its path, such as ``listeners/tcp``."""

    path: str
    meaning: str
    keys: tuple[Key[object], ...]
    known_by: KnownBy = KnownBy.BOTH
    inner: tuple[str, ...] = ()
    """Names of the sections that may stand inside, beside the keys, any number of times."""

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that means something inside."""
        return (*(key.name for key in self.keys), *self.inner)

    @property
    def name(self) -> str:
        """The last part of the path: the word before the brace."""
        return self.path.rpartition("/")[2]
