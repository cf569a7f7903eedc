"""The data model as plain JSON values: there and back, strictly, and lenient towards other versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NewType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencebus_schemas.errors import WireError
from fencebus_schemas.status import Explanation, Health, PartStatus, Problem, Status
from fencebus_schemas.status_plain import from_plain, to_plain
from tests.schemas.statuses import ALL, STATUS


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_every_value_comes_back_from_json_as_it_went(value: object) -> None:
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


@settings(max_examples=30)
@given(st.from_type(Explanation))
def test_whatever_a_value_holds_it_comes_back(value: Explanation) -> None:
    assert to_plain(from_plain(Explanation, to_plain(value))) == to_plain(value)


def test_what_another_version_says_besides_is_left_out_and_what_it_lacks_has_its_default() -> None:
    assert from_plain(PartStatus, {"name": "a", "colour": "red"}) == PartStatus("a")


def test_a_daemon_that_does_not_tell_of_its_routers_yet_is_understood() -> None:
    plain = to_plain(STATUS)
    assert isinstance(plain, dict)
    del plain["routers"]
    assert from_plain(Status, plain) == replace(STATUS, routers=())


@pytest.mark.parametrize(
    ("kind", "plain", "code"),
    (
        (PartStatus, {}, "missing"),
        (PartStatus, [], "type"),
        (PartStatus, {"name": 1}, "type"),
        (PartStatus, {"name": "a", "trouble": 1}, "type"),
        (Problem, {"code": "a", "health": "well", "text": ""}, "type"),
        (Problem, {"code": "a", "health": [], "text": ""}, "type"),
        (Status, {**dict(vars(STATUS)), "vms": {}, "health": "ok"}, "type"),
        (Status, {"pid": True}, "type"),
    ),
)
def test_what_is_no_such_value_is_refused(kind: type[object], plain: object, code: str) -> None:
    with pytest.raises(WireError) as refused:
        from_plain(kind, plain)
    assert refused.value.code == code


def test_a_whole_number_is_a_number_too() -> None:
    plain = to_plain(STATUS)
    assert isinstance(plain, dict)
    found = from_plain(Status, {**plain, "at": 5})
    assert (found.at, type(found.at)) == (5.0, float)


Name = NewType("Name", str)


@dataclass(frozen=True)
class Named:
    """A field whose type has a name of its own, and one that ``|`` makes optional."""

    name: Name
    of: float | None = None


@dataclass(frozen=True)
class Pairs:
    """Tuples of a fixed length, in one of any length."""

    pairs: tuple[tuple[str, Named], ...]
    again: Named | None = None


def test_a_tuple_of_a_fixed_length_holds_a_value_of_each_type() -> None:
    pairs = Pairs((("a", Named(Name("b"))), ("c", Named(Name("d"), 2.0))))
    assert from_plain(Pairs, to_plain(pairs)) == pairs
    for plain in ({"pairs": [["a"]]}, {"pairs": ["ab"]}, {"pairs": [[1, {"name": "b"}]]}):
        with pytest.raises(WireError):
            from_plain(Pairs, plain)


@dataclass(frozen=True)
class Odd:
    """What has no plain form."""

    call: Callable[[], int]


def test_types_with_names_of_their_own_and_both_ways_to_write_optional_are_understood() -> None:
    assert to_plain(Named(Name("a"), 1.5)) == {"name": "a", "of": 1.5}
    assert from_plain(Named, {"name": "a"}) == Named(Name("a"))


def test_what_has_no_plain_form_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(TypeError):
        to_plain(Odd(lambda: 1))
    with pytest.raises(TypeError):
        from_plain(Odd, {})
    with pytest.raises(WireError):
        from_plain(Health, "nothing")
    assert from_plain(Health, "ok") is Health.OK
    assert to_plain(None) is None
