"""Makes items of a configuration tree that stand in no file yet."""

from __future__ import annotations

from collections.abc import Iterable

from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item

NEW = Where("new")


def key(name: str, value: str) -> Item:
    """``name = "value";``"""
    return Item(name, NEW, value)


def section(name: str, children: Iterable[Item]) -> Item:
    """``name { ... }``"""
    return Item(name, NEW, children=tuple(children))
