"""Converts the description of a QMF class to the map that a console asks for, and decides its hash.

Facts: qmf2 2.2 and 2.3.  The map tells less than the description: it knows neither the width of a number nor what is
optional or a statistic.  Those travel in the answer of version 1 (``qmf1``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_data import Kind, SchemaId, Severity
from fencebus_schemas.qmf2_fields import as_map, as_text, take, take_list, take_map, take_text, take_whole


class Type(Enum):
    """A type, by its word in QMF's schema XML."""

    SHORT_STRING = ("sstr", 6, "TYPE_STRING", "")
    LONG_STRING = ("lstr", 7, "TYPE_STRING", "")
    INT64 = ("int64", 19, "TYPE_INT", "")
    INT32 = ("int32", 18, "TYPE_INT", "")
    INT16 = ("int16", 17, "TYPE_INT", "")
    INT8 = ("int8", 16, "TYPE_INT", "")
    UINT64 = ("uint64", 4, "TYPE_INT", "")
    UINT32 = ("uint32", 3, "TYPE_INT", "")
    UINT16 = ("uint16", 2, "TYPE_INT", "")
    UINT8 = ("uint8", 1, "TYPE_INT", "")
    TIME = ("absTime", 8, "TYPE_INT", "timestamp")
    DURATION = ("deltaTime", 9, "TYPE_INT", "duration")
    BOOL = ("bool", 11, "TYPE_BOOL", "")
    DOUBLE = ("double", 13, "TYPE_FLOAT", "")
    FLOAT = ("float", 12, "TYPE_FLOAT", "")
    UUID = ("uuid", 14, "TYPE_UUID", "")
    MAP = ("map", 15, "TYPE_MAP", "")
    REFERENCE = ("objId", 10, "TYPE_MAP", "reference")
    LIST = ("list", 21, "TYPE_LIST", "")

    def __init__(self, word: str, code: int, general: str, subtype: str) -> None:
        self.word = word
        self.code = code
        """In version 1."""
        self.general = general
        """In version 2."""
        self.subtype = subtype

    def accepts(self, value: Value) -> bool:
        """True if the value is of this type in general; widths are not looked at."""
        return _sort(value) == self.general or (self.general == "TYPE_FLOAT" and _sort(value) == "TYPE_INT")


def _sort(value: Value) -> str:
    # The order tells bool from int, and text from other sequences.
    sorts = (
        (bool, "TYPE_BOOL"),
        (int, "TYPE_INT"),
        (float, "TYPE_FLOAT"),
        (str, "TYPE_STRING"),
        (UUID, "TYPE_UUID"),
        (Mapping, "TYPE_MAP"),
        (Sequence, "TYPE_LIST"),
    )
    return next((name for sort, name in sorts if isinstance(value, sort)), "TYPE_VOID")


class Access(Enum):
    """What may be done to a property; the values are the codes of version 1."""

    RC = 1
    """Fixed when the object is made."""
    RW = 2
    RO = 3


@dataclass(frozen=True)
class Field:
    """A property, a statistic or an argument."""

    name: str
    type: Type
    desc: str = ""
    unit: str = ""
    access: Access = Access.RO
    direction: str = "I"
    """``I``, ``O`` or ``IO``; of properties always ``I``."""
    index: bool = False
    """Part of what tells the class's objects apart."""
    optional: bool = False
    statistic: bool = False

    def to_map(self) -> dict[str, Value]:
        """The map of version 2."""
        texts: dict[str, Value] = {"_unit": self.unit, "_desc": self.desc, "_subtype": self.type.subtype}
        index: dict[str, Value] = {"_index": True} if self.index else {}
        return {
            "_name": self.name,
            "_type": self.type.general,
            "_access": self.access.name,
            "_dir": self.direction,
            **{name: text for name, text in texts.items() if text},
            **index,
        }

    @classmethod
    def from_map(cls, values: Map) -> Field:
        """Raises WireError.  Of all types that a word of version 2 stands for the first one is taken."""
        general, subtype = take_text(values, "_type"), take_text(values, "_subtype")
        same = [one for one in Type if one.general == general]
        if not same:
            raise WireError("type", f"there is no type {general[:40]!r}")
        access = take_text(values, "_access") or "RO"
        if access not in Access.__members__:
            raise WireError("type", f"there is no access {access[:40]!r}")
        return cls(
            as_text(take(values, "_name"), "_name"),
            next((one for one in same if one.subtype == subtype), same[0]),
            take_text(values, "_desc"),
            take_text(values, "_unit"),
            Access[access],
            take_text(values, "_dir") or "I",
            values.get("_index") is True,
        )


@dataclass(frozen=True)
class Method:
    """What an object can be asked to do."""

    name: str
    desc: str = ""
    arguments: tuple[Field, ...] = ()

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The arguments that a call brings; each of them has to be there."""
        return tuple(one for one in self.arguments if "I" in one.direction)

    def to_map(self) -> dict[str, Value]:
        """The map of version 2."""
        return {"_name": self.name, "_desc": self.desc, "_arguments": [one.to_map() for one in self.arguments]}

    @classmethod
    def from_map(cls, values: Map) -> Method:
        """Raises WireError."""
        name = as_text(take(values, "_name"), "_name")
        return cls(name, take_text(values, "_desc"), _fields(values, "_arguments"))


@dataclass(frozen=True)
class ClassSchema:
    """A class.  Its hash is part of ``id``."""

    id: SchemaId
    properties: tuple[Field, ...] = ()
    methods: tuple[Method, ...] = ()
    desc: str = ""
    severity: Severity = Severity.NOTICE
    """Of events, unless one says something else."""

    def method(self, name: str) -> Method | None:
        """The method of this name."""
        return next((one for one in self.methods if one.name == name), None)

    def to_map(self) -> dict[str, Value]:
        """The map of version 2."""
        is_event = self.id.kind is Kind.EVENT
        severity: dict[str, Value] = {"_default_severity": self.severity.value} if is_event else {}
        return {
            "_schema_id": self.id.to_map(),
            **({"_desc": self.desc} if self.desc else {}),
            **severity,
            "_properties": [one.to_map() for one in self.properties],
            "_methods": [one.to_map() for one in self.methods],
        }

    @classmethod
    def from_map(cls, values: Map) -> ClassSchema:
        """Raises WireError."""
        level = take_whole(values, "_default_severity", Severity.NOTICE.value)
        if level not in [one.value for one in Severity]:
            raise WireError("range", f"there is no severity {level}")
        methods = (as_map(one, "a method") for one in take_list(values, "_methods"))
        return cls(
            SchemaId.from_map(take_map(values, "_schema_id")),
            _fields(values, "_properties"),
            tuple(map(Method.from_map, methods)),
            take_text(values, "_desc"),
            Severity(level),
        )

    def hashed(self) -> ClassSchema:
        """The same with the hash that it has to have, whatever it had."""
        bare = replace(self, id=replace(self.id, hash=None))
        # Consoles keep what version 1 says by this hash too, so it covers what version 2 leaves out.
        more = [(one.type.word, one.optional, one.statistic) for one in _all_fields(bare)]
        canonical = json.dumps([bare.to_map(), more], sort_keys=True, separators=(",", ":"))
        # SHA-256 rather than MD5, which QMF's own generator takes: no machine forbids it.
        return replace(bare, id=replace(bare.id, hash=UUID(bytes=hashlib.sha256(canonical.encode()).digest()[:16])))


def _all_fields(described: ClassSchema) -> list[Field]:
    return [*described.properties, *(argument for method in described.methods for argument in method.arguments)]


def _fields(values: Map, name: str) -> tuple[Field, ...]:
    return tuple(Field.from_map(as_map(one, name)) for one in take_list(values, name))
