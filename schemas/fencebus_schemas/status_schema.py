"""Converts the classes of the data model to JSON Schemas, for whoever reads what the programs tell.

The files in ``data/`` are made by ``python -m tests.schemas.status_schemas``; a test says if they are
behind the classes.
"""

from __future__ import annotations

import dataclasses
from enum import Enum

from fencebus_schemas.status import EventStatus, Explanation, HistoryStatus, HostList, Rehearsal, Status
from fencebus_schemas.status_plain import fields_of, has_default, inside_optional, item_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = {float: "number", int: "integer", bool: "boolean", str: "string"}
ROOTS: dict[str, type] = {
    "status": Status,
    "history": HistoryStatus,
    "explain": Explanation,
    "event": EventStatus,
    "rehearsal": Rehearsal,
    "hosts": HostList,
}
"""What a program may read, by the name of its schema."""


def schema_of(root: type) -> dict[str, object]:
    """The schema of one class; the classes inside it are definitions."""
    definitions: dict[str, object] = {}
    top = _schema(root, definitions)
    return {"$schema": DIALECT, "title": root.__name__, **_definition(root, definitions, top), "$defs": definitions}


def _definition(root: type, definitions: dict[str, object], reference: dict[str, object]) -> dict[str, object]:
    """The root's own description stands at the top instead of among the definitions."""
    assert reference == {"$ref": f"#/$defs/{root.__name__}"}
    found = definitions.pop(root.__name__)
    assert isinstance(found, dict)
    return found


def _schema(hint: object, definitions: dict[str, object]) -> dict[str, object]:
    item, inside = item_of(hint), inside_optional(hint)
    if item is not None:
        return {"type": "array", "items": _schema(item, definitions)}
    if inside is not None:
        return {"anyOf": [_schema(inside, definitions), {"type": "null"}]}
    if isinstance(hint, type) and hint in NAMES:
        return {"type": NAMES[hint]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    assert isinstance(hint, type)
    assert dataclasses.is_dataclass(hint)
    if hint.__name__ not in definitions:
        definitions[hint.__name__] = {}  # a class that is in itself would never end
        definitions[hint.__name__] = _object(hint, definitions)
    return {"$ref": f"#/$defs/{hint.__name__}"}


def _object(kind: type, definitions: dict[str, object]) -> dict[str, object]:
    fields = fields_of(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").split("\n")[0],
        "properties": {name: _schema(hint, definitions) for name, hint in fields.items()},
        "required": [name for name in fields if not has_default(kind, name)],
    }
