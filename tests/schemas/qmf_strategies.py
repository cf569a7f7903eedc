"""Decides which QMF messages and schemas the property tests and the fuzzers begin from."""

from __future__ import annotations

from hypothesis import strategies as st

from fencebus_schemas.amqp010 import Value
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_data import Data, Event, Kind, ObjectId, SchemaId, Severity
from fencebus_schemas.qmf2_messages import (
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
from fencebus_schemas.qmf2_names import AgentName
from fencebus_schemas.qmf2_predicate import Attribute, Literal, Predicate
from fencebus_schemas.qmf2_schema import Access, ClassSchema, Field, Method, Type

words = st.text(max_size=12)
times = st.integers(0, 2**63 - 1)
plain_values: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), words, st.uuids()
)
values: st.SearchStrategy[Value] = st.recursive(
    plain_values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
maps: st.SearchStrategy[dict[str, Value]] = st.dictionaries(words, values, max_size=4)

schema_ids = st.builds(SchemaId, words, words, st.sampled_from(Kind), st.none() | st.uuids())
object_ids = st.builds(ObjectId, words, words, st.integers(0, 2**31))
objects = st.builds(Data, object_ids, schema_ids, maps, times, times, times)
events = st.builds(Event, schema_ids, maps, times, st.sampled_from(Severity))

_parts = st.text(st.characters(codec="utf-8", exclude_characters=":"), min_size=1, max_size=8)
agent_names = st.builds(AgentName, _parts, _parts, st.text(min_size=1, max_size=8))
_more: st.SearchStrategy[dict[str, Value]] = st.dictionaries(
    words.map(lambda name: f"x{name}"), plain_values, max_size=2
)
attributes = st.builds(AgentAttributes, agent_names, times, times, times, times, st.integers(0, 9), words, _more)

_operands = st.builds(Attribute, words) | st.builds(Literal, values)
_pairs = st.tuples(_operands, _operands)
_simple = st.one_of(
    st.builds(Predicate, st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "re_match"]), st.just(()), _pairs),
    st.builds(Predicate, st.just("exists"), st.just(()), st.tuples(_operands)),
    st.builds(Predicate, st.sampled_from(["true", "false"])),
)
predicates: st.SearchStrategy[Predicate] = st.recursive(
    _simple,
    lambda inner: st.builds(
        Predicate, st.sampled_from(["and", "or", "not"]), st.lists(inner, max_size=3).map(tuple), st.just(())
    ),
    max_leaves=4,
)

# Types that a word of version 2 brings back as they were.
_types = st.sampled_from(
    [Type.SHORT_STRING, Type.INT64, Type.TIME, Type.DURATION, Type.BOOL, Type.DOUBLE, Type.UUID, Type.MAP, Type.LIST]
)
fields = st.builds(
    Field,
    words,
    _types,
    words,
    words,
    st.sampled_from(Access),
    st.sampled_from(["I", "O", "IO"]),
    st.booleans(),
    st.just(False),
    st.just(False),
)
_some_fields = st.lists(fields, max_size=3).map(tuple)
methods = st.builds(Method, words, words, _some_fields)
_data_ids = schema_ids.filter(lambda one: one.kind is Kind.DATA)
_event_ids = schema_ids.filter(lambda one: one.kind is Kind.EVENT)
schemas = st.builds(ClassSchema, _data_ids, _some_fields, st.lists(methods, max_size=2).map(tuple), words) | st.builds(
    ClassSchema, _event_ids, _some_fields, st.just(()), words, st.sampled_from(Severity)
)

_ITEMS: dict[Content, st.SearchStrategy[tuple[Item, ...]]] = {
    Content.SCHEMA_ID: st.lists(schema_ids, max_size=3).map(tuple),
    Content.SCHEMA: st.lists(schemas, max_size=2).map(tuple),
    Content.OBJECT_ID: st.lists(object_ids, max_size=3).map(tuple),
    Content.DATA: st.lists(objects, max_size=3).map(tuple),
    Content.EVENT: st.lists(events, max_size=3).map(tuple),
}
_agents = agent_names.map(str)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(LocateRequest, predicates),
    st.builds(LocateResponse, _agents, attributes),
    st.builds(Heartbeat, _agents, attributes),
    st.builds(QueryRequest, st.sampled_from(What), st.none() | schema_ids, st.none() | object_ids, predicates),
    *(
        st.builds(QueryResponse, _agents, st.just(content), items, st.booleans(), st.integers(0, 9))
        for content, items in _ITEMS.items()
    ),
    *(st.builds(Indication, _agents, st.just(content), _ITEMS[content]) for content in (Content.DATA, Content.EVENT)),
    st.builds(MethodRequest, words, st.none() | object_ids, maps),
    st.builds(MethodResponse, _agents, maps),
    st.builds(Failure, _agents, st.integers(0, 2**31 - 1), words),
)
