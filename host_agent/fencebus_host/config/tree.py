"""Words for what a configuration file says: a tree of named items, and the text that says the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fencebus_host.config.problems import Where


@dataclass(frozen=True, slots=True)
class Item:
    """``name = "value";`` or ``name { ... }`` or ``name = "value" { ... }``."""

    name: str
    where: Where
    value: str | None = None
    """The text between the quotes; ``None`` for a section without one."""
    children: tuple[Item, ...] | None = None
    """What stands between the braces, in the order of the file; ``None`` if there are no braces."""
    broken: bool = False
    """True if the value could not be read; that was reported already, so nobody should report it again."""

    def called(self, name: str) -> bool:
        """Whether this is the item ``name``: names differ not by case (C: ``strcasecmp`` in simpleconfig.c)."""
        return self.name.lower() == name.lower()


def render(items: Iterable[Item], indent: str = "") -> str:
    """The text of a file that says ``items``; values must not contain a double quote, for which there is no escape."""
    return "".join(_render_item(item, indent) for item in items)


def _render_item(item: Item, indent: str) -> str:
    head = indent + item.name + ("" if item.value is None else f' = "{item.value}"')
    if item.children is None:
        return f"{head};\n"
    return f"{head} {{\n{render(item.children, indent + '    ')}{indent}}}\n"
