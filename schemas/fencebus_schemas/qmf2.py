"""Converts QMF version 2 messages to what a bus carries (headers, content type, body) and back.

Facts: qmf2 1.4 to 1.7.  Where a message goes, its correlation id and where its answer is to go are the bus's; app-id
``qmf2`` is not required of what comes, because not every way brings it along.  The bodies are those of AMQP 0-10.

Codes of the WireError: ``opcode``, ``content``, ``missing``, ``type``, ``range``, ``predicate``, ``agent-name``, and
those of ``amqp010``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Union

from fencebus_schemas.amqp010 import Int32, Map, Value, decode_list, decode_map, encode_list, encode_map
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_data import Data, Event, ObjectId, SchemaId
from fencebus_schemas.qmf2_fields import as_map, as_text, plain_map, take, take_list, take_map, take_text, take_whole
from fencebus_schemas.qmf2_messages import (
    Code,
    Content,
    Failure,
    Heartbeat,
    Indication,
    Item,
    LocateRequest,
    LocateResponse,
    Message,
    MethodRequest,
    MethodResponse,
    QueryRequest,
    QueryResponse,
    What,
)
from fencebus_schemas.qmf2_predicate import EVERYTHING, read_predicate
from fencebus_schemas.qmf2_schema import ClassSchema

APP_ID = "qmf2"
MAP, LIST = "amqp/map", "amqp/list"
OPCODE = "qmf.opcode"
PART = "fencebus.part"
"""A header of ours, which others ignore."""
LARGEST_REQUEST = 64 * 1024
"""Bytes of a request's body that an agent reads."""

HeaderValue = Union[str, int, bool, bytes, None]


@dataclass(frozen=True)
class Packet:
    """What a bus carries."""

    headers: tuple[tuple[str, HeaderValue], ...]
    content_type: str
    body: bytes

    def header(self, name: str) -> str:
        """A header's text; empty if there is none."""
        found = dict(self.headers).get(name)
        return "" if found is None else as_text(found, name)


# -- writing ----------


def encode(message: Message) -> Packet:
    """What carries a message.  Raises WireError for a value that has no encoding."""
    if isinstance(message, LocateRequest):
        return _packet("_agent_locate_request", "request", message.where.plain())
    if isinstance(message, QueryRequest):
        return _packet("_query_request", "request", _plain_query(message))
    if isinstance(message, MethodRequest):
        return _packet("_method_request", "request", _plain_call(message))
    return _encode_answer(message)


def _encode_answer(
    message: LocateResponse | Heartbeat | QueryResponse | Indication | MethodResponse | Failure,
) -> Packet:
    if isinstance(message, (LocateResponse, Heartbeat)):
        opcode = "_agent_locate_response" if isinstance(message, LocateResponse) else "_agent_heartbeat_indication"
        return _packet(opcode, "indication", {"_values": message.attributes.to_map()}, message.agent)
    if isinstance(message, MethodResponse):
        return _packet("_method_response", "response", {"_arguments": message.arguments}, message.agent)
    if isinstance(message, Failure):
        # Both fields, and the code in 32 bits: an old fence_virtd ends without (facts: qmf2 4.3).
        values: Map = {"error_code": Int32(message.code), "error_text": message.text}
        return _packet("_exception", "response", {"_values": values}, message.agent, Content.DATA)
    items = [item.to_map() for item in message.items]
    if isinstance(message, Indication):
        return _packet("_data_indication", "indication", items, message.agent, message.content)
    packet = _packet("_query_response", "response", items, message.agent, message.content, message.partial)
    number = ((PART, message.part),) if message.part else ()
    return Packet(packet.headers + number, packet.content_type, packet.body)


def _packet(
    opcode: str,
    method: str,
    body: Map | Sequence[Value],
    agent: str = "",
    content: Content | None = None,
    partial: bool = False,
) -> Packet:
    headers: list[tuple[str, HeaderValue]] = [(OPCODE, opcode), ("method", method)]
    if agent:
        headers.append(("qmf.agent", agent))
    if content is not None:
        headers.append(("qmf.content", content.value))
    if partial:
        # Its being there says it; the value is void.
        headers.append(("partial", None))
    if isinstance(body, dict):
        return Packet(tuple(headers), MAP, encode_map(body))
    assert isinstance(body, list)
    return Packet(tuple(headers), LIST, encode_list(body))


def _plain_query(query: QueryRequest) -> dict[str, Value]:
    fields: dict[str, Value] = {"_what": query.what.value}
    if query.schema is not None:
        fields["_schema_id"] = query.schema.to_map()
    if query.object is not None:
        fields["_object_id"] = query.object.to_map()
    if query.where != EVERYTHING:
        fields["_where"] = query.where.plain()
    return fields


def _plain_call(call: MethodRequest) -> dict[str, Value]:
    named: dict[str, Value] = {} if call.object is None else {"_object_id": call.object.to_map()}
    return {**named, "_method_name": call.name, "_arguments": call.arguments}


# -- reading ----------


def decode(packet: Packet) -> Message:
    """The message in a packet.  Raises WireError; ``opcode`` for one that nobody implements."""
    opcode = packet.header(OPCODE)
    read = _READERS.get(opcode)
    if read is None:
        raise WireError("opcode", f"unknown opcode {opcode[:40]!r}")
    return read(packet)


def _map(packet: Packet) -> dict[str, Value]:
    if packet.content_type != MAP:
        raise WireError("content", f"a map was expected, and not {packet.content_type[:40]!r}")
    return decode_map(packet.body)


def _list(packet: Packet) -> list[Value]:
    if packet.content_type != LIST:
        raise WireError("content", f"a list was expected, and not {packet.content_type[:40]!r}")
    return decode_list(packet.body)


def _read_locate(packet: Packet) -> LocateRequest:
    # A C++ console sends no body at all where it wants everybody.
    is_bare = not packet.body and not packet.content_type
    return LocateRequest(EVERYTHING if is_bare else read_predicate(_list(packet)))


def _read_attributes(packet: Packet) -> AgentAttributes:
    return AgentAttributes.from_map(take_map(_map(packet), "_values"))


def _read_query(packet: Packet) -> QueryRequest:
    body = _map(packet)
    word = as_text(take(body, "_what"), "_what")
    if word not in What.__members__:
        raise WireError("content", f"nobody can be asked for {word[:40]!r}")
    schema, named = take_map(body, "_schema_id"), take_map(body, "_object_id")
    return QueryRequest(
        What[word],
        SchemaId.from_map(schema) if schema else None,
        ObjectId.from_map(named) if named else None,
        read_predicate(take_list(body, "_where")),
    )


def _read_items(packet: Packet) -> tuple[Content, tuple[Item, ...]]:
    word = packet.header("qmf.content") or Content.DATA.value
    if word not in _ITEMS:
        raise WireError("content", f"unknown content {word[:40]!r}")
    read = _ITEMS[word]
    return Content(word), tuple(read(as_map(item, "an item")) for item in _list(packet))


def _read_response(packet: Packet) -> QueryResponse:
    partial = any(name == "partial" for name, _ in packet.headers)
    part = dict(packet.headers).get(PART)
    number = part if isinstance(part, int) else 0
    return QueryResponse(packet.header("qmf.agent"), *_read_items(packet), partial, number)


def _read_call(packet: Packet) -> MethodRequest:
    body = _map(packet)
    named = take_map(body, "_object_id")
    return MethodRequest(
        as_text(take(body, "_method_name"), "_method_name"),
        ObjectId.from_map(named) if named else None,
        plain_map(take_map(body, "_arguments")),
    )


def _read_failure(packet: Packet) -> Failure:
    values = take_map(_map(packet), "_values")
    code = take_whole(values, "error_code", Code.EXCEPTION.value)
    return Failure(packet.header("qmf.agent"), code, take_text(values, "error_text"))


_ITEMS: dict[str, Callable[[Map], Item]] = {
    "_schema_id": SchemaId.from_map,
    "_schema": ClassSchema.from_map,
    "_object_id": ObjectId.from_map,
    "_data": Data.from_map,
    "_event": Event.from_map,
}
_READERS: dict[str, Callable[[Packet], Message]] = {
    "_agent_locate_request": _read_locate,
    "_agent_locate_response": lambda packet: LocateResponse(packet.header("qmf.agent"), _read_attributes(packet)),
    "_agent_heartbeat_indication": lambda packet: Heartbeat(packet.header("qmf.agent"), _read_attributes(packet)),
    "_query_request": _read_query,
    "_query_response": _read_response,
    "_data_indication": lambda packet: Indication(packet.header("qmf.agent"), *_read_items(packet)),
    "_method_request": _read_call,
    "_method_response": lambda packet: MethodResponse(
        packet.header("qmf.agent"), plain_map(as_map(take(_map(packet), "_arguments"), "_arguments"))
    ),
    "_exception": _read_failure,
}
