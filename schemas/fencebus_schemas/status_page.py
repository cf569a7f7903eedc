"""Converts any value of the data model to a plain page of HTML that needs nothing beside itself, field by field.

What a class learns to tell is on its page at once, as in JSON and XML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from fencebus_schemas.status_html import STYLE
from fencebus_schemas.status_plain import to_plain
from fencebus_schemas.status_tables import clock, visible

MOMENTS = ("at", "since", "until", "started")
"""Fields that hold seconds of the Unix clock."""


def to_page(title: str, value: object, picture: str = "", style: str = "") -> str:
    """The page; ``picture`` is markup that stands above the rest, and ``style`` its styles."""
    plain = to_plain(value)
    assert isinstance(plain, Mapping)
    name = escape(visible(title))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}{style}</style></head><body>'
        f"<h1>{name}</h1>{picture}{''.join(_sections(plain))}</body></html>\n"
    )


def _sections(plain: Mapping[str, object]) -> Iterator[str]:
    """What is one value each, in one table; below it what has parts of its own."""
    whole = {name: each for name, each in plain.items() if not isinstance(each, (Mapping, list))}
    yield _table((), [(_called(name), _cell(name, each)) for name, each in whole.items() if _cell(name, each)])
    for name, each in plain.items():
        if isinstance(each, Mapping):
            yield f"<h2>{escape(_called(name))}</h2>" + "".join(_sections(each))
        elif isinstance(each, list) and each:
            yield f"<h2>{escape(_called(name))}</h2>" + _listed(each)


def _listed(items: Sequence[object]) -> str:
    rows = [item for item in items if isinstance(item, Mapping)]
    if not rows:
        return "<ul>" + "".join(f"<li>{escape(_cell('', item))}</li>" for item in items) + "</ul>"
    heads = [str(name) for name in rows[0]]
    return _table([_called(name) for name in heads], [[_cell(name, row[name]) for name in heads] for row in rows])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _called(name: str) -> str:
    return name.replace("_", " ")


def _cell(name: str, plain: object) -> str:
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, list):
        return "; ".join(_cell("", each) for each in plain)
    if isinstance(plain, Mapping):
        told = {key: _cell(key, each) for key, each in plain.items()}
        return ", ".join(f"{_called(key)} {each}" for key, each in told.items() if each)
    if isinstance(plain, float):
        return clock(plain) if name in MOMENTS else f"{plain:.2f}"
    return visible(str(plain))
