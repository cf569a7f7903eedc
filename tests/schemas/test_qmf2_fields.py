"""Fields of QMF maps: opaque text is text, and whatever is of another type is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given

from fencebus_schemas.amqp010 import Int32, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_fields import (
    as_list,
    as_map,
    as_text,
    as_whole,
    plain,
    plain_map,
    take,
    take_list,
    take_map,
    take_text,
    take_uuid,
    take_whole,
)
from tests.schemas.qmf_strategies import maps

ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("read", "value", "result"),
    (
        (as_text, b"\xff", "\udcff"),
        (as_text, "x", "x"),
        (as_whole, Int32(-3), -3),
        (as_whole, 2**63, 2**63),
        (as_map, {"a": 1}, {"a": 1}),
        (as_list, [1], [1]),
        (as_list, (), ()),
    ),
)
def test_what_is_of_the_type_is_read(read: Callable[[Value, str], object], value: Value, result: object) -> None:
    assert read(value, "x") == result


@pytest.mark.parametrize(
    ("read", "value"),
    (
        (as_text, 1),
        (as_text, None),
        (as_whole, True),
        (as_whole, 1.0),
        (as_whole, "1"),
        (as_map, []),
        (as_map, None),
        (as_list, {}),
        (as_list, "text"),
        (as_list, b"text"),
    ),
)
def test_what_is_not_of_the_type_is_refused_by_its_name(read: Callable[[Value, str], object], value: Value) -> None:
    with pytest.raises(WireError, match="the_field") as refused:
        read(value, "the_field")
    assert refused.value.code == "type"


def test_what_is_not_there_is_empty_or_a_mistake() -> None:
    assert (take_text({}, "x"), take_whole({}, "x"), take_whole({}, "x", 5)) == ("", 0, 5)
    assert (take_map({}, "x"), take_map({"x": None}, "x")) == ({}, {})
    assert (take_list({}, "x"), take_list({"x": None}, "x")) == ((), ())
    assert (take_uuid({}, "x"), take_uuid({"x": ID}, "x")) == (None, ID)
    assert take({"x": None}, "x") is None
    with pytest.raises(WireError) as refused:
        take({}, "x")
    assert refused.value.code == "missing"


def test_a_uuid_has_a_type_of_its_own() -> None:
    for value in (str(ID), ID.bytes, 7):
        with pytest.raises(WireError, match="no UUID"):
            take_uuid({"x": value}, "x")


def test_opaque_text_is_text_at_every_depth() -> None:
    assert plain([b"a", {"b": b"c"}, ["d", b"e"], 1, None]) == ["a", {"b": "c"}, ["d", "e"], 1, None]


@given(maps)
def test_what_has_no_opaque_text_stays_as_it_is(values: dict[str, Value]) -> None:
    assert plain_map(values) == values
