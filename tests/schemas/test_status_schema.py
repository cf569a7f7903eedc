"""The JSON Schemas are those of the classes, and what is told fits them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import jsonschema
import pytest

from fencebus_schemas.status import PartStatus
from fencebus_schemas.status_plain import to_plain
from fencebus_schemas.status_schema import DIALECT, ROOTS, schema_of
from tests.schemas.status_schemas import file_of, text_of
from tests.schemas.statuses import ALL, STATUS

NAMES = {kind: name for name, kind in ROOTS.items()}


@pytest.mark.parametrize("name", ROOTS)
def test_the_file_is_what_the_classes_say(name: str) -> None:
    assert file_of(name).read_text() == text_of(name), "python -m tests.schemas.status_schemas"


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_what_is_told_fits_its_schema(value: object) -> None:
    schema = schema_of(ROOTS[NAMES[type(value)]])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(to_plain(value), schema, jsonschema.Draft202012Validator)


@dataclass(frozen=True)
class Twice:
    """One class in two fields."""

    one: PartStatus
    other: PartStatus


def test_a_class_that_stands_in_two_places_is_described_once() -> None:
    definitions = schema_of(Twice)["$defs"]
    assert isinstance(definitions, dict)
    assert list(definitions) == ["PartStatus"]


def test_what_is_no_status_does_not_fit() -> None:
    plain = json.loads(json.dumps(to_plain(STATUS)))
    schema = schema_of(ROOTS["status"])
    assert schema["$schema"] == DIALECT
    for name, wrong in (("health", "well"), ("vms", {}), ("pid", "7"), ("file", 7)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**plain, name: wrong}, schema)
    del plain["host"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, schema)
