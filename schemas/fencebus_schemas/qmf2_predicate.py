"""Decides whether a QMF predicate, a nested list such as ``["eq", "name", ["quote", "vm7"]]``, holds for some values.

As the C++ console and agent do it (facts: qmf2 1.6): two values are equal if their texts are; they are ordered as
numbers if one of them is a number and the other can be read as one, as texts if both are texts, and else not at all;
whatever is compared with an attribute that is not there is false.

Code of the WireError: ``predicate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

from fencebus_schemas.amqp010 import DEEPEST, Map, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_fields import as_text, plain


@dataclass(frozen=True)
class Attribute:
    """An operand that is an attribute's name: a plain text."""

    name: str


@dataclass(frozen=True)
class Literal:
    """An operand that is a value: in the list as ``["quote", value]``."""

    value: Value


Operand = Union[Attribute, Literal]
_ORDERS = {"lt": (-1,), "le": (-1, 0), "gt": (1,), "ge": (1, 0)}
"""Of the left operand and the right one: which signs of their difference fit."""
_COMPARISONS = ("eq", "ne", *_ORDERS)
_GROUPS = ("and", "or", "not")


@dataclass(frozen=True)
class Predicate:
    """An expression that is well formed."""

    operator: str = "true"
    parts: tuple[Predicate, ...] = ()
    """Of ``and``, ``or`` and ``not``."""
    operands: tuple[Operand, ...] = ()
    """Of everything else."""

    def holds(self, values: Map) -> bool:
        """True if it holds for these attributes."""
        if self.operator in _GROUPS:
            return self._group(values)
        if self.operator in _COMPARISONS:
            return self._compare(values)
        if self.operator == "exists":
            return all(isinstance(one, Attribute) and one.name in values for one in self.operands)
        # ``re_match`` has a name, and in C++ no more than that: nothing ever matches.
        return self.operator == "true"

    def plain(self) -> list[Value]:
        """The list that says it on the wire; the empty one says "whatever"."""
        if self == EVERYTHING:
            return []
        parts = (part.plain() or ["true"] for part in self.parts)
        return [self.operator, *parts, *map(_plain_operand, self.operands)]

    def _group(self, values: Map) -> bool:
        results = [part.holds(values) for part in self.parts]
        if self.operator == "and":
            return all(results)
        return any(results) if self.operator == "or" else not any(results)

    def _compare(self, values: Map) -> bool:
        left, right = (_resolve(one, values) for one in self.operands)
        if left is None or right is None:
            return False
        if self.operator in _ORDERS:
            return _sign(left, right) in _ORDERS[self.operator]
        return (str(left) == str(right)) == (self.operator == "eq")


EVERYTHING = Predicate()
"""What holds for whatever there is."""


def equals(name: str, value: Value) -> Predicate:
    """The predicate that an attribute has this value."""
    return Predicate("eq", (), (Attribute(name), Literal(value)))


def read_predicate(expression: Sequence[Value]) -> Predicate:
    """The predicate that a list says.  Raises WireError."""
    return _read(expression, 0) if expression else EVERYTHING


def _read(expression: Value, depth: int) -> Predicate:
    if depth > DEEPEST:
        raise WireError("predicate", f"more than {DEEPEST} predicates within each other")
    word, rest = _opened(expression)
    if word in _GROUPS:
        return Predicate(word, tuple(_read(part, depth + 1) for part in rest))
    expected = _ARITY.get(word)
    if expected is None:
        raise WireError("predicate", f"there is no operator {word[:40]!r}")
    if len(rest) != expected:
        raise WireError("predicate", f"{word} has {expected} operands, and not {len(rest)}")
    return Predicate(word, (), tuple(map(_operand, rest)))


_ARITY = {**dict.fromkeys(_COMPARISONS, 2), "re_match": 2, "exists": 1, "true": 0, "false": 0}


def _opened(expression: Value) -> tuple[str, Sequence[Value]]:
    if not isinstance(expression, Sequence) or isinstance(expression, (str, bytes)) or not expression:
        raise WireError("predicate", "a predicate begins with its operator")
    return as_text(expression[0], "an operator"), expression[1:]


def _operand(value: Value) -> Operand:
    if isinstance(value, (str, bytes)):
        return Attribute(as_text(value, "an attribute"))
    word, rest = _opened(value)
    if word != "quote" or len(rest) != 1:
        raise WireError("predicate", "an operand is an attribute's name or a quoted value")
    return Literal(plain(rest[0]))


def _plain_operand(one: Operand) -> Value:
    return one.name if isinstance(one, Attribute) else ["quote", one.value]


def _resolve(one: Operand, values: Map) -> Value:
    return values.get(one.name) if isinstance(one, Attribute) else one.value


def _sign(left: Value, right: Value) -> int | None:
    """Of their difference; ``None`` if they have no order."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if not isinstance(left, (int, float)) and not isinstance(right, (int, float)):
        return None
    one, other = _number(left), _number(right)
    return None if one is None or other is None else (one > other) - (one < other)


def _number(value: Value) -> int | float | None:
    if isinstance(value, (int, float)):
        return value
    try:
        # An integer is not put through a float: times in nanoseconds have more digits.
        return int(value) if isinstance(value, str) and value.strip("+-0123456789") == "" else float(str(value))
    except ValueError:
        return None
