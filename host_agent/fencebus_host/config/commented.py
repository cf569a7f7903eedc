"""Turns a tree into the text of a file whose keys say what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fencebus_host.config.key import Section
from fencebus_host.config.key_table import SECTIONS
from fencebus_host.config.tree import Item

_SECTIONS = {section.path: section for section in SECTIONS}


def render_commented(items: Iterable[Item], head: Iterable[str] = ()) -> str:
    """The text of ``items`` in C's grammar, with the ``head`` as comments above and each key's meaning behind it."""
    lines = [f"# {_one_line(line)}".rstrip() for line in head]
    return "\n".join([*lines, *_lines(items, "", "")]) + "\n"


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _lines(items: Iterable[Item], path: str, indent: str) -> Iterator[str]:
    for item in items:
        here = f"{path}/{item.name}" if path else item.name
        value = "" if item.value is None else f' = "{item.value}"'
        if item.children is None:
            yield _with_meaning(f"{indent}{item.name}{value};", _meaning(path, item.name))
        else:
            if not path:
                yield ""
            yield f"{indent}{item.name}{value} {{"
            yield from _lines(item.children, here, indent + "    ")
            yield f"{indent}}}"


def _with_meaning(line: str, meaning: str) -> str:
    return f"{line:<44}  # {meaning}" if meaning else line


def _meaning(path: str, name: str) -> str:
    section: Section | None = _SECTIONS.get(path)
    return next((key.meaning for key in section.keys if key.matches(name)), "") if section else ""
