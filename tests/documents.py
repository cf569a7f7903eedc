"""Turns a page of the documentation into what its readers type and write: commands, configurations, rows of tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.components import CHECKOUT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_APART = re.compile(r"^ {4,}\S.*\n(?: {4,}\S.*\n)*", re.MULTILINE)


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


def lines_apart(text: str) -> list[str]:
    """The lines that stand apart by their indentation, outside of fences, without what a ``#`` says about them.

    A transcript, which has prompts (``$``), is not among them.
    """
    groups = [found for found in _APART.findall(_FENCE.sub("", text)) if not re.search(r"^ +\$ ", found, re.MULTILINE)]
    return [re.sub(r"\s+# .*$", "", line.strip()) for group in groups for line in group.splitlines()]


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
