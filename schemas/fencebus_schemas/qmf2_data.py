"""Converts objects, events, and what names them and their classes, to QMF maps and back (facts: qmf2 2.1 and 2.4).

Codes of the WireError: ``missing``, ``type``, ``range``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_fields import as_map, as_text, plain_map, take, take_map, take_text, take_uuid, take_whole


class Kind(Enum):
    """What the instances of a class are."""

    DATA = "_data"
    EVENT = "_event"


class Severity(Enum):
    """How bad an event is."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORM = 6
    DEBUG = 7

    @property
    def word(self) -> str:
        """Its word in routing keys."""
        return ("emerg", "alert", "crit", "error", "warn", "note", "info", "debug")[self.value]


@dataclass(frozen=True)
class SchemaId:
    """The name of a class; in a query, which classes are meant."""

    package: str
    class_name: str
    kind: Kind = Kind.DATA
    hash: UUID | None = None
    """Another with each change of the schema: consoles keep what they have for as long as they live."""

    def to_map(self) -> dict[str, Value]:
        """The map; an empty field is left out."""
        fields: dict[str, Value] = {"_package_name": self.package, "_class_name": self.class_name, "_hash": self.hash}
        return {**{name: value for name, value in fields.items() if value}, "_type": self.kind.value}

    @classmethod
    def from_map(cls, values: Map) -> SchemaId:
        """Raises WireError."""
        word = take_text(values, "_type") or Kind.DATA.value
        if word not in (Kind.DATA.value, Kind.EVENT.value):
            raise WireError("type", f"{word[:40]!r} is no kind of class")
        package, name = take_text(values, "_package_name"), take_text(values, "_class_name")
        return cls(package, name, Kind(word), take_uuid(values, "_hash"))

    def covers(self, other: SchemaId) -> bool:
        """True if a query for this one means the class ``other``; old consoles know no hash (facts: qmf2 4.3)."""
        return self.package in ("", other.package) and self.class_name in ("", other.class_name)


@dataclass(frozen=True)
class ObjectId:
    """The name of an object."""

    agent: str
    """In a request it may be empty: whoever gets the request is meant."""
    name: str
    epoch: int = 0
    """Of the agent's run that made it; 0: the object outlives the agent's restarts."""

    def to_map(self) -> dict[str, Value]:
        """The map."""
        fields: dict[str, Value] = {"_agent_name": self.agent, "_object_name": self.name}
        return {**fields, "_agent_epoch": self.epoch} if self.epoch else fields

    @classmethod
    def from_map(cls, values: Map) -> ObjectId:
        """Raises WireError."""
        name = as_text(take(values, "_object_name"), "_object_name")
        return cls(take_text(values, "_agent_name"), name, take_whole(values, "_agent_epoch"))


@dataclass(frozen=True)
class Data:
    """An object as it is at some time.  Times are nanoseconds since 1970."""

    id: ObjectId
    schema: SchemaId
    values: Map = field(default_factory=dict)
    """Properties and statistics."""
    created: int = 0
    updated: int = 0
    deleted: int = 0
    """0 while it is there."""

    def to_map(self) -> dict[str, Value]:
        """The map."""
        return {
            "_object_id": self.id.to_map(),
            "_schema_id": self.schema.to_map(),
            "_values": self.values,
            "_create_ts": self.created,
            "_update_ts": self.updated,
            "_delete_ts": self.deleted,
        }

    @classmethod
    def from_map(cls, values: Map) -> Data:
        """Raises WireError."""
        return cls(
            ObjectId.from_map(as_map(take(values, "_object_id"), "_object_id")),
            SchemaId.from_map(take_map(values, "_schema_id")),
            plain_map(as_map(take(values, "_values"), "_values")),
            *(take_whole(values, name) for name in ("_create_ts", "_update_ts", "_delete_ts")),
        )


@dataclass(frozen=True)
class Event:
    """What happened at some time, in nanoseconds since 1970."""

    schema: SchemaId
    values: Map
    timestamp: int
    severity: Severity = Severity.NOTICE

    def to_map(self) -> dict[str, Value]:
        """The map."""
        return {
            "_schema_id": self.schema.to_map(),
            "_values": self.values,
            "_timestamp": self.timestamp,
            "_severity": self.severity.value,
        }

    @classmethod
    def from_map(cls, values: Map) -> Event:
        """Raises WireError."""
        level = take_whole(values, "_severity", Severity.NOTICE.value)
        if not Severity.EMERGENCY.value <= level <= Severity.DEBUG.value:
            raise WireError("range", f"there is no severity {level}")
        return cls(
            SchemaId.from_map(take_map(values, "_schema_id")),
            plain_map(as_map(take(values, "_values"), "_values")),
            take_whole(values, "_timestamp"),
            Severity(level),
        )
