"""What QMF agents and consoles say to each other, as immutable values; ``qmf2`` puts them into packets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Union

from fencebus_schemas.amqp010 import Map
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_data import Data, Event, ObjectId, SchemaId
from fencebus_schemas.qmf2_predicate import EVERYTHING, Predicate
from fencebus_schemas.qmf2_schema import ClassSchema


class Content(Enum):
    """What a list consists of."""

    SCHEMA_ID = "_schema_id"
    SCHEMA = "_schema"
    OBJECT_ID = "_object_id"
    DATA = "_data"
    EVENT = "_event"


class What(Enum):
    """What is asked for."""

    SCHEMA_ID = "SCHEMA_ID"
    SCHEMA = "SCHEMA"
    OBJECT_ID = "OBJECT_ID"
    OBJECT = "OBJECT"


class Code(IntEnum):
    """Why a request failed; from USER on the numbers are the agent's own."""

    UNKNOWN_OBJECT = 1
    UNKNOWN_METHOD = 2
    NOT_IMPLEMENTED = 3
    INVALID_PARAMETER = 4
    FEATURE_NOT_IMPLEMENTED = 5
    FORBIDDEN = 6
    EXCEPTION = 7
    USER = 0x10000


Item = Union[SchemaId, ClassSchema, ObjectId, Data, Event]


@dataclass(frozen=True)
class LocateRequest:
    """Which agents are there?"""

    where: Predicate = EVERYTHING
    """Over their attributes."""


@dataclass(frozen=True)
class LocateResponse:
    """I am; the answer."""

    agent: str
    attributes: AgentAttributes


@dataclass(frozen=True)
class Heartbeat:
    """I am; unasked."""

    agent: str
    attributes: AgentAttributes


@dataclass(frozen=True)
class QueryRequest:
    """What do you have?"""

    what: What
    schema: SchemaId | None = None
    object: ObjectId | None = None
    where: Predicate = EVERYTHING
    """Over the values of objects."""


@dataclass(frozen=True)
class QueryResponse:
    """A part of what the agent has."""

    agent: str
    content: Content
    items: tuple[Item, ...] = ()
    partial: bool = False
    """More follows."""
    part: int = 0
    """Its number in a long answer, from 0 on: who counts notices that one was lost.  Others' agents do not number."""


@dataclass(frozen=True)
class Indication:
    """Objects that have changed, or events."""

    agent: str
    content: Content
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class MethodRequest:
    """Do something."""

    name: str
    object: ObjectId | None = None
    """``None``: the agent itself is meant."""
    arguments: Map = field(default_factory=dict)


@dataclass(frozen=True)
class MethodResponse:
    """It is done."""

    agent: str
    arguments: Map = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A request failed."""

    agent: str
    code: int
    text: str


Message = Union[
    LocateRequest,
    LocateResponse,
    Heartbeat,
    QueryRequest,
    QueryResponse,
    Indication,
    MethodRequest,
    MethodResponse,
    Failure,
]
