"""Decides what differs between two configurations: the settings that count, not the lines that say them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fencebus_host.config.tree import Item


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One setting that is not the same; ``None`` where it is not there at all."""

    path: str
    """``listeners/tcp/port``; ``listeners/multicast:br1/port`` for an instance."""
    old: str | None
    new: str | None

    def __str__(self) -> str:
        old, new = ("(not set)" if value is None else f'"{value}"' for value in (self.old, self.new))
        return f"{self.path}: {old} -> {new}"


def differences(old: Iterable[Item], new: Iterable[Item]) -> tuple[Difference, ...]:
    """What changes from ``old`` to ``new``, by path; both as ``effective`` makes them."""
    before, after = dict(_flat(old)), dict(_flat(new))
    paths = sorted({*before, *after})
    return tuple(
        Difference(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    )


def _flat(items: Iterable[Item], above: str = "") -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for item in items:
        label = item.name if item.children is None or not item.value else f"{item.name}:{item.value}"
        seen[label] = seen.get(label, 0) + 1
        path = above + (label if seen[label] == 1 else f"{label}[{seen[label]}]")
        if item.children is None:
            yield path, item.value or ""
        else:
            yield from _section(path, item)


def _section(path: str, item: Item) -> Iterator[tuple[str, str]]:
    yield path, "{}"  # a section without keys is a setting too: an empty `groups` lets nobody fence anybody
    yield from _flat(item.children or (), f"{path}/")
