"""What a QMF predicate means, in the C++ implementation's way."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given

from fencebus_schemas.amqp010 import DEEPEST, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_predicate import EVERYTHING, Predicate, equals, read_predicate
from tests.schemas.qmf_strategies import maps, predicates

VALUES: dict[str, Value] = {
    "name": "vm7",
    "cpus": 4,
    "text": "12",
    "load": 0.5,
    "on": True,
    "none": None,
    "u": uuid.UUID(int=1),
    "list": [1],
    "time": 2**62 + 1,
}


def quote(value: Value) -> list[Value]:
    return ["quote", value]


@pytest.mark.parametrize(
    "expression",
    (
        [],
        ["true"],
        ["eq", "name", quote("vm7")],
        ["eq", b"name", quote(b"vm7")],
        ["eq", "cpus", quote("4")],
        ["eq", "on", quote("True")],
        ["eq", "u", quote("00000000-0000-0000-0000-000000000001")],
        ["ne", "name", quote("vm8")],
        ["lt", "cpus", quote(5)],
        ["le", "cpus", quote(4)],
        ["gt", "cpus", quote("3.5")],
        ["ge", "text", quote(12)],
        ["lt", "load", "cpus"],
        ["lt", "name", quote("vm8")],
        ["gt", "time", quote(str(2**62))],
        ["exists", "none"],
        ["and"],
        ["not"],
        ["and", ["true"], ["eq", "cpus", quote(4)]],
        ["or", ["false"], ["exists", "name"]],
        ["not", ["false"], ["exists", "nobody"]],
    ),
)
def test_it_holds(expression: list[Value]) -> None:
    assert read_predicate(expression).holds(VALUES)


@pytest.mark.parametrize(
    "expression",
    (
        ["false"],
        ["eq", "name", quote("VM7")],
        ["eq", "nobody", quote("x")],
        ["ne", "nobody", quote("x")],
        ["ne", "none", quote("x")],
        ["lt", "name", quote(5)],
        ["ge", "list", quote("x")],
        ["lt", "u", "list"],
        ["gt", "cpus", quote("many")],
        ["gt", "cpus", quote("9" * 5000)],
        ["re_match", "name", quote("vm.*")],
        ["exists", "nobody"],
        ["exists", quote("name")],
        ["or"],
        ["and", ["true"], ["false"]],
        ["not", ["false"], ["true"]],
    ),
)
def test_it_does_not_hold(expression: list[Value]) -> None:
    assert not read_predicate(expression).holds(VALUES)


@pytest.mark.parametrize(
    "expression",
    (
        ["sounds_like", "name", "x"],
        [7],
        ["eq", "name"],
        ["exists"],
        ["true", "name"],
        ["eq", "name", 7],
        ["eq", "name", []],
        ["eq", "name", ["quote"]],
        ["eq", "name", ["literally", 7]],
        ["and", "true"],
        ["and", []],
        ["not", 7],
    ),
)
def test_what_is_not_well_formed_is_refused(expression: list[Value]) -> None:
    with pytest.raises(WireError):
        read_predicate(expression)


def test_what_is_too_deep_is_refused() -> None:
    deep: list[Value] = ["true"]
    for _ in range(DEEPEST + 1):
        deep = ["not", deep]
    with pytest.raises(WireError, match="within each other"):
        read_predicate(deep)


@given(predicates, maps)
def test_it_comes_back_as_it_was_and_holds_or_not(predicate: Predicate, values: dict[str, Value]) -> None:
    assert read_predicate(predicate.plain()) == predicate
    assert predicate.holds(values) != Predicate("not", (predicate,)).holds(values)


def test_the_empty_one_is_whatever_there_is() -> None:
    assert read_predicate([]) == read_predicate(["true"]) == EVERYTHING
    assert EVERYTHING.plain() == []
    assert Predicate("and", (EVERYTHING,)).plain() == ["and", ["true"]]
    assert equals("a", 1).plain() == ["eq", "a", ["quote", 1]]
