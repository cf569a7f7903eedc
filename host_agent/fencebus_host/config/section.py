"""Decides what a section's items say: the last of duplicates counts, unknown ones are errors, values get their type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.problems import Problems, Where, did_you_mean
from fencebus_host.config.tree import Item
from fencebus_host.config.values import BadValueError

T = TypeVar("T")


def last_section(items: Iterable[Item], name: str, problems: Problems) -> Item | None:
    """The last section ``name`` of ``items``: as in C they are not merged, and what is ignored is reported."""
    found = [item for item in items if item.called(name)]
    for item in found[:-1]:
        message = f"this section `{name}` is ignored: another one follows in line {found[-1].where.line}"
        problems.warning(item.where, "ignored-section", message, "put everything into one section")
    return found[-1] if found else None


def children(section: Item | None, problems: Problems) -> tuple[Item, ...]:
    """What stands between a section's braces; to have none is an error."""
    if section is None:
        return ()
    if section.children is None and not section.broken:
        problems.error(section.where, "not-a-section", f"`{section.name}` is a section", f"{section.name} {{ ... }}")
    return section.children or ()


def unknown(items: Iterable[Item], known: Iterable[str], code: str, problems: Problems) -> None:
    """Report every item whose name is none of ``known``."""
    names = [name.lower() for name in known]
    for item in items:
        if item.name and item.name.lower() not in names:
            problems.error(item.where, code, f"`{item.name}` means nothing here", did_you_mean(item.name, names))


class Reading:
    """The values of one section, by its keys."""

    def __init__(self, item: Item | None, section: Section, problems: Problems) -> None:
        self._problems = problems
        self._section = section
        self._item = item
        found = children(item, problems)
        self._inner = tuple(each for each in found if each.name.lower() in section.inner)
        self._items = tuple(each for each in found if each.name.lower() not in section.inner)
        self._reported: set[Item] = set()
        self._check_names()
        for key in section.keys:
            self._check_key(key)

    @property
    def problems(self) -> Problems:
        """Where what is wrong with this section is reported."""
        return self._problems

    @property
    def written(self) -> bool:
        """Whether the file has this section at all."""
        return self._item is not None

    @property
    def place(self) -> Where:
        """Where the section stands; nowhere if nobody wrote it."""
        return self._item.where if self._item else Where("")

    def inner(self, name: str) -> tuple[Item, ...]:
        """The sections ``name`` that stand inside, in the order of the file."""
        return tuple(item for item in self._inner if item.called(name))

    def get(self, key: Key[T]) -> T:
        """The value of ``key``: the last one in the file, else the default; a bad one is reported."""
        item = self._last(key.name)
        return key.default if item is None else self._value(item, key)

    def all(self, key: Key[T]) -> tuple[tuple[T, Where], ...]:
        """Every value of a key that repeats, with its place, in the order of the file."""
        return tuple((self._value(item, key), item.where) for item in self._called(key.name) if not item.broken)

    def numbered(self, key: Key[T]) -> tuple[T, ...]:
        """The values of ``uri``, ``uri1``, ``uri2`` ... up to the first gap, as in C; others are reported."""
        left = {item.name.lower(): item for item in self._items if key.matches(item.name)}
        found: list[T] = []
        name = key.name
        while name in left:
            found.append(self._value(left.pop(name), key))
            name = f"{key.name}{len(found)}"
        for item in left.values():
            self._problems.warning(item.where, "ignored-key", f"`{item.name}` is ignored: there is no `{name}`")
        return tuple(found)

    def where(self, key: Key[T]) -> Where | None:
        """Where ``key`` is set; ``None`` if it is not."""
        item = self._last(key.name)
        return None if item is None else item.where

    def _called(self, name: str) -> list[Item]:
        return [item for item in self._items if item.called(name)]

    def _last(self, name: str) -> Item | None:
        return next(reversed(self._called(name)), None)

    def _value(self, item: Item, key: Key[T]) -> T:
        if item.broken or item.value is None:
            return key.default
        try:
            return key.read(item.value)
        except BadValueError as error:
            if item not in self._reported:
                self._problems.error(item.where, "bad-value", f"`{item.name}` {error}", error.suggestion)
            self._reported.add(item)
            return key.default

    def _check_names(self) -> None:
        for item in self._items:
            if not any(key.matches(item.name) for key in self._section.keys):
                unknown([item], self._section.words, "unknown-key", self._problems)
            elif item.value is None or item.children:
                self._problems.error(
                    item.where, "not-a-key", f"`{item.name}` takes a value, not a section", f'{item.name} = "...";'
                )

    def _check_key(self, key: Key[object]) -> None:
        for name in {item.name.lower() for item in self._items if key.matches(item.name)}:
            found = self._called(name)
            for item in [] if key.repeats else found[:-1]:
                message = f"this `{item.name}` is ignored: line {found[-1].where.line} sets it again"
                self._problems.warning(item.where, "ignored-key", message)
            if key.known_by is KnownBy.C_ONLY:
                self._problems.warning(found[-1].where, "c-only-key", f"`{name}` has no effect here: {key.meaning}")
