"""Turns a page of the documentation into what its readers type and write: commands, configurations, rows of tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent

from tests.components import CHECKOUT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_APART = re.compile(r"^ {4,}\S.*\n(?: {4,}\S.*\n)*", re.MULTILINE)

_CONFIGURATION = re.compile(r"^(fence_virtd|listeners|backends) \{", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page; ``name`` as seen from the checkout."""

    name: str

    @property
    def text(self) -> str:
        """All of it."""
        return (CHECKOUT / self.name).read_text(encoding="utf-8")

    def section(self, title: str) -> str:
        """What stands between this title, of whatever level, and the next of the same or a higher one."""
        found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found is not None, f"{self.name}: {title}"
        return found[2]


def blocks(text: str, language: str = "") -> list[str]:
    """The blocks between fences of this language."""
    return [found[2] for found in _FENCE.finditer(text) if found[1] == language]


def groups_apart(text: str) -> list[str]:
    """What stands apart by its indentation, outside of fences; each group of lines as one."""
    return [dedent(found) for found in _APART.findall(_FENCE.sub("", text))]


def configurations(text: str) -> list[str]:
    """What is to be written into a fence_virt.conf, in fences or apart."""
    pieces = [*blocks(text), *blocks(text, "conf"), *groups_apart(text)]
    return [piece for piece in pieces if _CONFIGURATION.search(piece)]


def lines_apart(text: str) -> list[str]:
    """The lines that stand apart, without what a ``#`` says about them.

    A transcript, which has prompts (``$``), is not among them, and no configuration.
    """
    groups = [group for group in groups_apart(text) if not re.search(r"^\$ ", group, re.MULTILINE)]
    lines = [line for group in groups if not _CONFIGURATION.search(group) for line in group.splitlines()]
    return [re.sub(r"\s+# .*$", "", line.strip()) for line in lines]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head and the marks of code."""
    cells = [
        [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    return cells[2:]


def commands(text: str) -> list[str]:
    """What is typed: lines apart, and the lines of shell blocks that stand alone (no line of a here-document)."""
    shell = "".join(
        re.sub(r"<<END\n.*?^END$", "", block, flags=re.MULTILINE | re.DOTALL) for block in blocks(text, "sh")
    )
    return [*lines_apart(text), *(line for line in shell.splitlines() if line)]
