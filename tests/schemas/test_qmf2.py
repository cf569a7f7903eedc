"""QMF version 2 messages: as the facts' tables have them, as peers send them, and back again."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencebus_schemas.amqp010 import Int32, Map, Value, decode_list, decode_map, encode_list, encode_map
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2 import LIST, MAP, HeaderValue, Packet, decode, encode
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_data import Data, Event, ObjectId, SchemaId, Severity
from fencebus_schemas.qmf2_messages import (
    Content,
    Failure,
    Heartbeat,
    Indication,
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
from fencebus_schemas.qmf2_predicate import EVERYTHING, equals
from tests.schemas.qmf_strategies import messages

NAME = AgentName("fencebus", "libvirt-qmf", "hosta")
AGENT = str(NAME)
HASH = uuid.UUID(int=5)
DOMAIN = SchemaId("org.libvirt", "Domain", hash=HASH)
VM7 = Data(ObjectId(AGENT, "org.libvirt:Domain:7"), DOMAIN, {"name": "vm7", "state": "running"}, 1, 2)


def packet(opcode: str, body: Map | list[Value], **headers: HeaderValue) -> Packet:
    """As a peer might send it."""
    named = (("qmf.opcode", opcode), *((name.replace("_", "."), value) for name, value in headers.items()))
    if isinstance(body, list):
        return Packet(named, LIST, encode_list(body))
    return Packet(named, MAP, encode_map(body))


@settings(max_examples=60)
@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


@settings(max_examples=60)
@given(messages, st.data())
def test_a_damaged_message_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    sound = encode(message)
    body = bytearray(sound.body)
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        decode(replace(sound, body=bytes(body)))


@pytest.mark.parametrize(
    ("message", "opcode", "method", "content"),
    (
        (LocateRequest(), "_agent_locate_request", "request", None),
        (LocateResponse(AGENT, AgentAttributes(NAME, 1, 60)), "_agent_locate_response", "indication", None),
        (Heartbeat(AGENT, AgentAttributes(NAME, 1, 60)), "_agent_heartbeat_indication", "indication", None),
        (QueryRequest(What.OBJECT), "_query_request", "request", None),
        (QueryResponse(AGENT, Content.SCHEMA_ID), "_query_response", "response", "_schema_id"),
        (QueryResponse(AGENT, Content.SCHEMA), "_query_response", "response", "_schema"),
        (Indication(AGENT, Content.DATA), "_data_indication", "indication", "_data"),
        (Indication(AGENT, Content.EVENT), "_data_indication", "indication", "_event"),
        (MethodRequest("destroy"), "_method_request", "request", None),
        (MethodResponse(AGENT), "_method_response", "response", None),
        (Failure(AGENT, 6, "no"), "_exception", "response", "_data"),
    ),
)
def test_each_message_has_the_headers_of_the_table(
    message: Message, opcode: str, method: str, content: str | None
) -> None:
    headers = dict(encode(message).headers)
    assert (headers["qmf.opcode"], headers["method"], headers.get("qmf.content")) == (opcode, method, content)
    is_agents = not isinstance(message, (LocateRequest, QueryRequest, MethodRequest))
    assert headers.get("qmf.agent") == (AGENT if is_agents else None)


def test_a_query_is_the_bytes_that_qpid_python_sends() -> None:
    sent = encode(QueryRequest(What.OBJECT))
    assert (sent.content_type, sent.body.hex()) == ("amqp/map", "0000001300000001055f776861749500064f424a454354")


def test_partial_says_so_by_being_there() -> None:
    assert ("partial", None) in encode(QueryResponse(AGENT, Content.DATA, (), True)).headers
    assert not any(name == "partial" for name, _ in encode(QueryResponse(AGENT, Content.DATA)).headers)
    for value in (None, "", True):
        headers = (("qmf.opcode", "_query_response"), ("partial", value))
        read = decode(Packet(headers, LIST, b""))
        assert isinstance(read, QueryResponse)
        assert read.partial


def test_an_errors_code_travels_in_32_bits_with_a_text() -> None:
    values = decode_map(encode(Failure(AGENT, 6, "forbidden")).body)["_values"]
    assert values == {"error_code": 6, "error_text": "forbidden"}
    assert isinstance(values, dict)
    assert isinstance(values["error_code"], Int32)


def test_an_error_that_lacks_its_fields_gets_those_that_consoles_assume() -> None:
    assert decode(packet("_exception", {}, qmf_agent=b"a:b:c")) == Failure("a:b:c", 7, "")


def test_an_agent_says_of_itself_what_every_console_requires() -> None:
    (values,) = decode_map(encode(Heartbeat(AGENT, AgentAttributes(NAME, 5, 60, 3, 4, 1, "direct"))).body).values()
    assert values == {
        "_vendor": "fencebus",
        "_product": "libvirt-qmf",
        "_instance": "hosta",
        "_name": AGENT,
        "_timestamp": 5,
        "_heartbeat_interval": 60,
        "_epoch": 3,
        "_schema_updated": 4,
        "qmf.agent_capability": 1,
        "_direct_subject": "direct",
    }


def test_the_words_of_older_agents_are_understood_and_opaque_text_is_text() -> None:
    old: Map = {"_name": b"apache.org:qpidd:1:2", "timestamp": 5, "heartbeat_interval": 10, "epoch": 2, "uuid": b"u"}
    read = decode(packet("_agent_heartbeat_indication", {"_values": old}, qmf_agent=b"x"))
    name = AgentName("apache.org", "qpidd", "1:2")
    assert read == Heartbeat("x", AgentAttributes(name, 5, 10, 2, 0, 0, "", {"uuid": "u"}))


def test_a_locate_request_without_a_body_asks_for_everybody() -> None:
    bare = Packet((("qmf.opcode", "_agent_locate_request"),), "", b"")
    assert decode(bare) == LocateRequest(EVERYTHING)


def test_a_console_asks_for_agents_by_a_predicate() -> None:
    wanted = LocateRequest(equals("_product", "libvirt-qmf"))
    assert decode_list(encode(wanted).body) == ["eq", "_product", ["quote", "libvirt-qmf"]]


def test_an_old_daemons_query_has_neither_hash_nor_type() -> None:
    body: Map = {"_what": b"OBJECT", "_schema_id": {"_class_name": b"Domain", "_package_name": b"org.libvirt"}}
    asked = decode(packet("_query_request", body))
    assert asked == QueryRequest(What.OBJECT, SchemaId("org.libvirt", "Domain"))


def test_a_call_may_come_without_arguments_and_without_an_object() -> None:
    assert decode(packet("_method_request", {"_method_name": b"fence"})) == MethodRequest("fence")
    named: Map = {"_method_name": "x", "_object_id": {"_object_name": b"o"}, "_arguments": {"a": b"text"}}
    assert decode(packet("_method_request", named)) == MethodRequest("x", ObjectId("", "o"), {"a": "text"})


def test_objects_keep_their_times_and_opaque_text_is_text_at_every_depth() -> None:
    item: Map = {
        "_object_id": {"_object_name": b"o", "_agent_name": b"a", "_agent_epoch": 4},
        "_schema_id": {"_package_name": b"p", "_class_name": b"c", "_hash": HASH},
        "_values": {"deep": [{"x": b"y"}], "n": 3},
        "_delete_ts": 9,
    }
    read = decode(packet("_data_indication", [item], qmf_agent="a"))
    told = Data(ObjectId("a", "o", 4), SchemaId("p", "c", hash=HASH), {"deep": [{"x": "y"}], "n": 3}, deleted=9)
    assert read == Indication("a", Content.DATA, (told,))


def test_an_event_has_its_time_and_severity() -> None:
    event = Event(SchemaId("p", "e"), {"a": 1}, 7, Severity.ERROR)
    (plain,) = decode_list(encode(Indication(AGENT, Content.EVENT, (event,))).body)
    assert isinstance(plain, dict)
    assert (plain["_timestamp"], plain["_severity"]) == (7, 3)
    assert " ".join(severity.word for severity in Severity) == "emerg alert crit error warn note info debug"


@pytest.mark.parametrize(
    ("wrong", "code"),
    (
        (Packet((), MAP, b""), "opcode"),
        (packet("_subscribe_request", {}), "opcode"),
        (packet("_query_request", []), "content"),
        (packet("_data_indication", {}), "content"),
        (packet("_data_indication", [], qmf_content="_schema_class"), "content"),
        (packet("_data_indication", [1]), "type"),
        (packet("_data_indication", [{}]), "missing"),
        (packet("_query_request", {}), "missing"),
        (packet("_query_request", {"_what": "PACKAGES"}), "content"),
        (packet("_query_request", {"_what": 1}), "type"),
        (packet("_query_request", {"_what": "OBJECT", "_schema_id": 1}), "type"),
        (packet("_query_request", {"_what": "OBJECT", "_schema_id": {"_type": "x"}}), "type"),
        (packet("_query_request", {"_what": "OBJECT", "_schema_id": {"_hash": "x"}}), "type"),
        (packet("_query_request", {"_what": "OBJECT", "_object_id": {"_agent_name": "x"}}), "missing"),
        (packet("_query_request", {"_what": "OBJECT", "_where": "x"}), "type"),
        (packet("_query_request", {"_what": "OBJECT", "_where": ["x"]}), "predicate"),
        (packet("_method_response", {}), "missing"),
        (packet("_exception", {"_values": {"error_code": True}}), "type"),
        (packet("_agent_locate_response", {"_values": {"_name": "a:b"}}), "agent-name"),
        (packet("_data_indication", [{"_severity": 8}], qmf_content="_event"), "range"),
        (packet("_exception", {}, qmf_agent=7), "type"),
    ),
)
def test_what_is_no_message_is_refused(wrong: Packet, code: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(wrong)
    assert refused.value.code == code


def test_names_become_words_of_routing_keys() -> None:
    name = AgentName.parse("my.vendor:libvirt-qmf:host.a:1")
    assert name == AgentName("my.vendor", "libvirt-qmf", "host.a:1")
    assert name.heartbeat_key == "agent.ind.heartbeat.my_vendor.libvirt-qmf.host_a:1"
    assert name.data_key("org.libvirt", "Domain") == "agent.ind.data.org_libvirt.Domain.my_vendor.libvirt-qmf.host_a:1"
    assert name.event_key("p.q", "e", "note") == "agent.ind.event.p_q.e.note.my_vendor.libvirt-qmf.host_a:1"
    assert name.direct_subject == "direct-agent.route.host_a:1"


def test_a_query_for_a_class_means_it_whatever_its_hash_but_not_in_another_case() -> None:
    for asked in (DOMAIN, SchemaId("", "Domain"), SchemaId("org.libvirt", "Domain", hash=uuid.UUID(int=9))):
        assert asked.covers(DOMAIN)
    for asked in (SchemaId("org.libvirt", "domain"), SchemaId("com.redhat.libvirt", "Domain")):
        assert not asked.covers(DOMAIN)
