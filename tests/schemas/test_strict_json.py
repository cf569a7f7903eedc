"""What a kind of field takes, and what it refuses with which code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import pytest

from fencebus_schemas.errors import WireError
from fencebus_schemas.strict_json import (
    GREATEST_COUNT,
    Count,
    Flag,
    Kind,
    Many,
    Maybe,
    Number,
    OneOf,
    Remark,
    Shape,
    Text,
    dump,
    load,
)


class Colour(Enum):
    """Two kinds of value."""

    RED = "red"
    ONE = 1


@dataclass(frozen=True)
class Point:
    """One field with a default."""

    x: int
    label: str = "none"


POINT = Shape(Point, {"x": Count(-5), "label": Text(8)})


def code(kind: Kind, plain: object) -> str:
    with pytest.raises(WireError) as caught:
        kind.read(plain)
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    (
        (Text(3), "äöü", "äöü"),
        (Text(3), "\n", "\n"),
        (Remark(3), "long", "lon"),
        (Count(), 0, 0),
        (Count(), GREATEST_COUNT, GREATEST_COUNT),
        (Number(), 1, 1.0),
        (Number(), -0.5, -0.5),
        (Flag(), True, True),
        (OneOf(Colour), Colour.RED, "red"),
        (OneOf(Colour), Colour.ONE, 1),
        (Maybe(Flag()), None, None),
        (Maybe(Flag()), False, False),
        (Many(Flag(), 2), (True, False), [True, False]),
        (POINT, Point(-5), {"x": -5}),
        (POINT, Point(1, "far"), {"x": 1, "label": "far"}),
    ),
)
def test_a_value_becomes_plain_and_comes_back(kind: Kind, value: object, plain: object) -> None:
    assert kind.plain(value) == plain
    assert kind.plain(kind.read(plain)) == plain


@pytest.mark.parametrize(
    ("kind", "plain", "expected"),
    (
        (Text(3), 1, "type"),
        (Text(3), "long", "range"),
        (Text(3, least=1), "", "range"),
        (Text(3, printable=True), "a\n", "range"),
        (Text(3, printable=True), "\udcff", "range"),
        (Count(), True, "type"),
        (Count(), 1.0, "type"),
        (Count(), -1, "range"),
        (Count(), GREATEST_COUNT + 1, "range"),
        (Number(), False, "type"),
        (Number(), "1", "type"),
        (Number(), math.nan, "range"),
        (Number(), math.inf, "range"),
        (Number(), 1e16, "range"),
        (Flag(), 1, "type"),
        (OneOf(Colour), "blue", "range"),
        (OneOf(Colour), True, "range"),
        (OneOf(Colour), 1.0, "type"),
        (OneOf(Colour), ["red"], "type"),
        (Many(Flag(), 2), (True,), "type"),
        (Many(Flag(), 2), [True] * 3, "range"),
        (Many(Flag(), 2), [True, None], "type"),
        (POINT, [1], "type"),
        (POINT, {"label": "far"}, "missing"),
        (POINT, {"x": "1"}, "type"),
    ),
)
def test_anything_else_is_refused(kind: Kind, plain: object, expected: str) -> None:
    assert code(kind, plain) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    (
        (OneOf(Colour), "red", "type"),
        (Remark(3), 5, "type"),
        (Many(Flag(), 2), [True], "type"),
        (Many(Flag(), 2), (True, True, True), "range"),
        (POINT, Colour.RED, "type"),
        (POINT, Point(-6), "range"),
    ),
)
def test_what_a_peer_would_refuse_is_not_even_written(kind: Kind, value: object, expected: str) -> None:
    with pytest.raises(WireError) as caught:
        kind.plain(value)
    assert caught.value.code == expected


def test_fields_that_are_not_known_are_ignored() -> None:
    assert POINT.read({"x": 3, "y": 4}) == Point(3)


def test_a_refusal_does_not_repeat_all_that_it_refuses() -> None:
    with pytest.raises(WireError) as caught:
        Text(3).read("x" * 10_000)
    assert len(str(caught.value)) < 200


def test_json_is_canonical_and_ascii() -> None:
    assert dump({"b": [1.5, None], "a": "ü\udcff"}) == b'{"a":"\\u00fc\\udcff","b":[1.5,null]}'
    assert load(dump({"b": [1.5, None], "a": "ü\udcff"})) == {"b": [1.5, None], "a": "ü\udcff"}


@pytest.mark.parametrize(
    "data",
    (b"", b"{", b"nan", b"NaN", b"-Infinity", b"[1]]", b"\xff", "ü".encode(), b"[" * 100_000, b"9" * 21, b"1" * 5000),
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        load(data)
    assert caught.value.code == "json"
