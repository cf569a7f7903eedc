"""Converts values of the data model to plain JSON values and back, by the types of their fields.

The classes themselves are the only description: what is added to one of them is told, read and in the schemas at once.
Reading is lenient where a program of another version told something: unknown fields are left out, absent ones get their
defaults; a value of the wrong type is a ``WireError`` with code ``type``, a field without default ``missing``.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Hashable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Callable, TypeVar, Union

from fencebus_schemas.errors import WireError

T = TypeVar("T")

ToPlain = Callable[[object], object]
FromPlain = Callable[[object], object]
SCALARS = (str, bool, int, float)
NONE: object = type(None)


def to_plain(value: object) -> object:
    """Dictionaries, lists, texts, numbers, booleans and ``None``, as JSON holds them."""
    return _writer(_hint(type(value)))(value)


def from_plain(kind: type[T], plain: object) -> T:
    """The value of class ``kind`` that ``to_plain`` told.  Raises WireError."""
    found = _reader(_hint(kind))(plain)
    assert isinstance(found, kind)
    return found


def _hint(kind: object) -> Hashable:
    """A class as a key of the caches: types are hashable, which their own class does not say."""
    assert isinstance(kind, Hashable)
    return kind


def fields_of(kind: type) -> Mapping[str, object]:
    """The fields of a class of the data model, with their types."""
    return _fields_of(kind)


@cache
def _fields_of(kind: type) -> Mapping[str, object]:
    hints = typing.get_type_hints(kind)
    return {each.name: plain_type(hints[each.name]) for each in dataclasses.fields(kind)}


def plain_type(hint: object) -> object:
    """A type without the names that were given to it (``NewType``)."""
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint


def item_of(hint: object) -> object | None:
    """The type of the items of a tuple of any length; ``None`` for everything else."""
    inside = typing.get_args(hint)
    return inside[0] if typing.get_origin(hint) is tuple and inside[-1] is ... else None


def parts_of(hint: object) -> Sequence[object] | None:
    """The types of the parts of a tuple of a fixed length; ``None`` for everything else."""
    inside = typing.get_args(hint)
    return inside if typing.get_origin(hint) is tuple and inside[-1] is not ... else None


def inside_optional(hint: object) -> object | None:
    """What an optional field holds when it holds something; ``None`` if the field is not optional."""
    inside = [each for each in typing.get_args(hint) if each is not NONE]
    is_union = typing.get_origin(hint) is Union or type(hint).__name__ == "UnionType"
    return inside[0] if is_union and len(inside) == 1 else None


def has_default(kind: type, name: str) -> bool:
    """Whether a field may be absent."""
    field = next(each for each in dataclasses.fields(kind) if each.name == name)
    return field.default is not dataclasses.MISSING


# -- writing ----------


@cache
def _writer(hint: Hashable) -> ToPlain:
    hint = plain_type(hint)
    if hint in SCALARS or hint is NONE:
        return _as_it_is
    item, inside = item_of(hint), inside_optional(hint)
    if item is not None:
        return _list_writer(_writer(_hint(item)))
    if parts := parts_of(hint):
        return _parts_writer([_writer(_hint(part)) for part in parts])
    if inside is not None:
        return _optional(_writer(inside))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_writer
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object_writer(hint)
    raise TypeError(f"no plain form of {hint}")


def _as_it_is(value: object) -> object:
    return value


def _enum_writer(value: object) -> object:
    assert isinstance(value, Enum)
    return value.value


def _list_writer(write: ToPlain) -> ToPlain:
    def written(value: object) -> object:
        assert isinstance(value, tuple)
        return [write(each) for each in value]

    return written


def _parts_writer(writers: Sequence[ToPlain]) -> ToPlain:
    def written(value: object) -> object:
        assert isinstance(value, tuple)
        return [write(each) for write, each in zip(writers, value)]

    return written


def _optional(convert: ToPlain) -> ToPlain:
    return lambda value: None if value is None else convert(value)


def _object_writer(kind: type) -> ToPlain:
    writers = [(name, _writer(hint)) for name, hint in _fields_of(kind).items()]
    return lambda value: {name: write(getattr(value, name)) for name, write in writers}


# -- reading ----------


@cache
def _reader(hint: Hashable) -> FromPlain:
    hint = plain_type(hint)
    item, inside = item_of(hint), inside_optional(hint)
    if item is not None:
        return _list_reader(_reader(_hint(item)))
    if parts := parts_of(hint):
        return _parts_reader([_reader(_hint(part)) for part in parts])
    if inside is not None:
        return _optional(_reader(inside))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_reader(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object_reader(hint)
    if hint in SCALARS:
        return _scalar_reader(hint)
    raise TypeError(f"no plain form of {hint}")


def _scalar_reader(kind: object) -> FromPlain:
    def read(plain: object) -> object:
        is_whole = isinstance(plain, int) and not isinstance(plain, bool)
        if kind is float and is_whole:
            assert isinstance(plain, int)
            return float(plain)
        if type(plain) is not kind:
            raise WireError("type", f"{getattr(kind, '__name__', kind)} expected, found {repr(plain)[:80]}")
        return plain

    return read


def _enum_reader(kind: type[Enum]) -> FromPlain:
    by_value = {(type(each.value), each.value): each for each in kind}

    def read(plain: object) -> object:
        found = by_value.get((type(plain), plain)) if isinstance(plain, (str, int)) else None
        if found is None:
            raise WireError("type", f"{kind.__name__} expected, found {repr(plain)[:80]}")
        return found

    return read


def _list_reader(read: FromPlain) -> FromPlain:
    def read_all(plain: object) -> object:
        if not isinstance(plain, list):
            raise WireError("type", f"a list expected, found {repr(plain)[:80]}")
        return tuple(read(each) for each in plain)

    return read_all


def _parts_reader(readers: Sequence[FromPlain]) -> FromPlain:
    def read_each(plain: object) -> object:
        if not isinstance(plain, list) or len(plain) != len(readers):
            raise WireError("type", f"a list of {len(readers)} expected, found {repr(plain)[:80]}")
        return tuple(read(each) for read, each in zip(readers, plain))

    return read_each


def _object_reader(kind: type) -> FromPlain:
    readers = [(name, _reader(hint), has_default(kind, name)) for name, hint in _fields_of(kind).items()]
    make: Callable[..., object] = kind

    def read(plain: object) -> object:
        if not isinstance(plain, dict):
            raise WireError("type", f"{kind.__name__} expected, found {repr(plain)[:80]}")
        found = {name: inner(plain[name]) for name, inner, _ in readers if name in plain}
        for name, _, absent in readers:
            if name not in found and not absent:
                raise WireError("missing", f"{kind.__name__} without {name}")
        return make(**found)

    return read
