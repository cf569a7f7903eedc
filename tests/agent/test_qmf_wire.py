"""QMF messages on the bus, and where an agent's answers may go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from fencebus_agent.bus import Address, BusMessage
from fencebus_agent.qmf_wire import from_bus, may_answer, schema_answer, schema_request, to_bus
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.qmf2 import LARGEST_REQUEST
from fencebus_schemas.qmf2_classes import DOMAIN
from fencebus_schemas.qmf2_messages import Message, MethodRequest, MethodResponse
from tests.schemas.qmf_strategies import messages

REPLY = Address("qmf.default.direct", "console")


@settings(max_examples=30)
@given(messages)
def test_a_message_comes_back_from_the_bus_as_it_was(message: Message) -> None:
    carried = to_bus(message, REPLY, "17", 5.0)
    assert from_bus(carried) == message
    assert (carried.app_id, carried.reply_to, carried.correlation_id, carried.ttl) == ("qmf2", REPLY, "17", 5.0)


def test_a_request_that_is_too_large_is_refused_and_an_answer_is_not() -> None:
    text = "x" * LARGEST_REQUEST
    with pytest.raises(WireError, match="length"):
        from_bus(to_bus(MethodRequest("x", None, {"a": text})))
    assert from_bus(to_bus(MethodResponse("a:b:c", {"a": text}))) == MethodResponse("a:b:c", {"a": text})


def test_a_request_of_version_1_is_known_by_its_first_bytes_and_by_having_no_opcode() -> None:
    body = SchemaRequest(7, DOMAIN.id).pack()
    wanted = schema_request(BusMessage(body))
    assert wanted is not None
    assert wanted.sequence == 7
    assert schema_request(BusMessage(body, headers=(("qmf.opcode", "x"),))) is None
    assert schema_request(BusMessage(b"AM2Q")) is None
    with pytest.raises(WireError):
        schema_request(BusMessage(b"AM2S"))


def test_an_answer_of_version_1_names_the_agent_and_is_no_message_of_version_2() -> None:
    answer = schema_answer("a:b:c", b"AM2s")
    assert answer.header("qmf.agent") == "a:b:c"
    assert (answer.app_id, answer.has_header("qmf.opcode")) == ("", False)


@pytest.mark.parametrize(
    "text",
    (
        "qmf.default.direct/qmfc-v2-host.1.1",
        "qmf.east.direct/fencebus-hosta-1",
        "qmf.default.topic/direct-console.4d2",
        "amq.direct/reply-host.1.1",
        "amq.direct/direct-console.4d2",
    ),
)
def test_an_answer_goes_where_consoles_have_theirs_sent(text: str) -> None:
    assert may_answer(Address.parse(text), queues=False)


@pytest.mark.parametrize(
    "text",
    (
        "",
        "qmf.default.direct/",
        "qmf.default.topic/agent.ind.heartbeat.x",
        "amq.direct/anything",
        "amq.fanout/x",
        "a-queue",
        "qpid.management/broker",
    ),
)
def test_an_answer_goes_nowhere_else(text: str) -> None:
    assert not may_answer(Address.parse(text), queues=False)


def test_an_answer_goes_to_a_queue_where_that_was_allowed() -> None:
    assert may_answer(Address.parse("a-queue"), queues=True)
    assert not may_answer(Address("", ""), queues=True)
