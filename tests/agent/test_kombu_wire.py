"""Messages to and from AMQP 0-9-1: what is sent, and what is made of whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.bus import Address, BusMessage
from fencebus_agent.kombu_wire import address_of, blamed, is_of_qmf, message_of, properties

TO = Address("qmf.default.topic", "agent.ind")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_only_what_a_message_has_is_sent_and_the_time_to_live_in_milliseconds() -> None:
    assert properties(BusMessage(), "") == {}
    full = BusMessage(reply_to=Address("x", "y"), correlation_id="1", app_id="qmf2", ttl=1.5)
    assert properties(full, "me") == {
        "reply_to": "x/y",
        "correlation_id": "1",
        "app_id": "qmf2",
        "expiration": "1500",
        "user_id": "me",
    }
    assert properties(BusMessage(ttl=-1.0), "")["expiration"] == "0"


@given(
    body=anything,
    named=st.dictionaries(
        st.sampled_from(("reply_to", "content_type", "correlation_id", "app_id", "expiration", "user_id")), anything
    ),
    headers=st.dictionaries(st.text() | st.integers(), anything),
)
def test_whatever_comes_makes_a_message_of_the_right_types(
    body: object, named: dict[str, object], headers: dict[object, object]
) -> None:
    message = message_of(TO, body, named, headers)
    assert isinstance(message.body, bytes)
    assert all(isinstance(text, str) for text in (message.content_type, message.correlation_id, message.app_id))
    assert all(isinstance(name, str) for name, _ in message.headers)
    assert all(value is None or isinstance(value, (str, int, bytes)) for _, value in message.headers)
    assert message.ttl is None or message.ttl >= 0


def test_what_is_sent_comes_back_the_same() -> None:
    sent = BusMessage(b"x", "t", (("a", 1), ("b", None)), Address("x", "y/z"), "5", "app", 2.0, "me", TO)
    given_back = {**properties(sent, "me"), "content_type": "t"}
    assert message_of(TO, memoryview(b"x"), given_back, dict(sent.headers)) == sent


@pytest.mark.parametrize("expiration", ("", "-1", "1.5", "soon", "²"))
def test_a_time_to_live_that_is_no_number_is_none(expiration: str) -> None:
    assert message_of(TO, b"", {"expiration": expiration}, {}).ttl is None


@pytest.mark.parametrize(
    ("text", "address"),
    (
        ("qmf.default.direct/key", Address("qmf.default.direct", "key")),
        ("a-queue", Address("", "a-queue")),
        ("/exchanges/qmf.default.direct/a%3Ab%2Fc", Address("qmf.default.direct", "a:b/c")),
        ("/exchange/qmf.default.direct/key", Address("qmf.default.direct", "key")),
        ("/queues/q%20r", Address("", "q r")),
        ("/queue/q", Address("", "q")),
        ("/amq/queue/q", Address("", "q")),
        ("/else/where", Address("", "else/where")),
    ),
)
def test_an_answer_goes_where_a_client_of_either_protocol_asks_for_it(text: str, address: Address) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("exchange", "ours"),
    (("qmf.default.topic", True), ("qmf.a.b.direct", True), ("qmf.topic", False), ("amq.topic", False), ("", False)),
)
def test_only_exchanges_of_qmf_are_made(exchange: str, ours: bool) -> None:
    assert is_of_qmf(exchange) is ours


def test_the_first_message_that_the_broker_can_mean_is_blamed() -> None:
    sent = [Address("a", "k"), Address("b", "k"), Address("b", "l")]
    assert blamed("access to exchange 'b' in vhost '/' refused", sent) == 1
    assert blamed("access to topic 'l' in exchange 'b' in vhost '/' refused", sent) == 2
    assert blamed("no exchange 'a' in vhost '/'", sent) == 0
    assert blamed("internal error", sent) == 2
    assert blamed("internal error", []) == -1
