"""Writes the JSON Schemas of what programs may read to their files: ``python -m tests.schemas.status_schemas``."""

from __future__ import annotations

import json
from pathlib import Path

from fencebus_schemas.status_schema import ROOTS, schema_of
from tests.components import CHECKOUT

FOLDER = CHECKOUT / "schemas" / "fencebus_schemas" / "data"


def file_of(name: str) -> Path:
    """Where the schema of this name lies."""
    return FOLDER / f"{name}.schema.json"


def text_of(name: str) -> str:
    """What the file should hold."""
    return json.dumps(schema_of(ROOTS[name]), indent=2) + "\n"


if __name__ == "__main__":
    for each in ROOTS:
        file_of(each).write_text(text_of(each), encoding="utf-8")
