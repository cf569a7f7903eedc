"""Converts the QMF classes to the tables of docs/qmf.md.  `python -m tests.schemas.qmf_page` writes them there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fencebus_schemas.qmf2_classes import CLASSES
from fencebus_schemas.qmf2_data import Kind
from fencebus_schemas.qmf2_schema import ClassSchema, Field, Method
from tests.components import CHECKOUT

PAGE = CHECKOUT / "docs" / "qmf.md"
_PART = re.compile(
    r"(?<=<!-- made from the schema XML by `python -m tests.schemas.qmf_page` -->\n).*?(?=<!-- end -->)", re.DOTALL
)


def tables() -> str:
    """The generated part of the page."""
    return "".join(map(_chapter, CLASSES))


def page(text: str) -> str:
    """The page with its generated part anew."""
    return _PART.sub(lambda _: "\n" + tables() + "\n", text)


def _chapter(described: ClassSchema) -> str:
    is_event = described.id.kind is Kind.EVENT
    severity = f" (`{described.severity.word}`)" if is_event else ""
    title = f"### {'Event' if is_event else 'Class'} `{described.id.package}:{described.id.class_name}`{severity}\n\n"
    fields = _table(("name", "type", "", "what it is"), map(_field, described.properties))
    methods = _table(("method", "arguments", "what it does"), map(_method, described.methods))
    return f"{title}{described.desc}.\n\n{fields}{methods}\n".replace("\n\n\n", "\n\n")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [_line(row) for row in rows]
    return "\n".join((_line(heads), "|---" * len(heads) + "|", *lines)) + "\n\n" if lines else ""


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _field(one: Field) -> tuple[str, ...]:
    marks = (("index", one.index), ("optional", one.optional), ("statistic", one.statistic))
    unit = f" ({one.unit})" if one.unit else ""
    return f"`{one.name}`", f"{one.type.word}{unit}", ", ".join(word for word, on in marks if on), one.desc


def _method(one: Method) -> tuple[str, ...]:
    arguments = "; ".join(f"{argument.direction} `{argument.name}` {argument.type.word}" for argument in one.arguments)
    return f"`{one.name}`", arguments or "none", one.desc


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
