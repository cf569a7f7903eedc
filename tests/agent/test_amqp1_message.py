"""Messages to and from AMQP 1.0: what is sent, and what is made of whatever comes."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.amqp1_message import decoded, encoded
from fencebus_agent.amqp1_profile import Profile, Qpidd, RabbitMq3
from fencebus_agent.bus import LIST, MAP, Address, BusMessage
from fencebus_schemas import amqp010
from fencebus_schemas.amqp010 import Int32
from fencebus_schemas.errors import WireError
from tests.components import require_module

proton = require_module("proton", extra="qmf")

TO = Address("qmf.default.topic", "agent.ind")
TYPED, PLAIN = Qpidd(), RabbitMq3()

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)


def there_and_back(message: BusMessage, profile: Profile) -> BusMessage:
    """What the other side makes of it."""
    return decoded(encoded(TO, message, "me", profile), TO, profile)


def sections(**given_sections: object) -> bytes:
    """A message that a stranger made."""
    message = proton.Message()
    for name, value in given_sections.items():
        setattr(message, name, value)
    return bytes(message.encode())


@pytest.mark.parametrize("profile", (TYPED, PLAIN))
def test_what_is_sent_comes_as_it_was(profile: Profile) -> None:
    sent = BusMessage(
        amqp010.encode_map({"a": 1}),
        MAP,
        (("partial", None), ("n", 7), ("u", 2**64 - 1), ("b", b"\xff"), ("y", True), ("t", "text")),
        Address("qmf.default.direct", "me/too"),
        "17",
        "qmf2",
        1.5,
    )
    came = there_and_back(sent, profile)
    assert came == replace(sent, to=TO, user_id="me" * profile.vouches)
    bare = BusMessage(b"\xff", "")
    assert there_and_back(bare, profile) == replace(bare, to=TO, user_id="me" * profile.vouches)


@given(st.dictionaries(st.text(max_size=9), values, max_size=4))
def test_typed_maps_keep_every_value_and_its_width(given_map: dict[str, amqp010.Value]) -> None:
    body = amqp010.encode_map(given_map)
    assert there_and_back(BusMessage(body, MAP), TYPED).body == body


@given(st.lists(values, max_size=4))
def test_typed_lists_too(given_list: list[amqp010.Value]) -> None:
    body = amqp010.encode_list(given_list)
    assert there_and_back(BusMessage(body, LIST), TYPED).body == body


def test_a_number_of_32_bits_stays_one_and_an_empty_body_is_an_empty_map() -> None:
    came = there_and_back(BusMessage(amqp010.encode_map({"code": Int32(7)}), MAP), TYPED)
    assert isinstance(amqp010.decode_map(came.body)["code"], Int32)
    assert amqp010.decode_map(there_and_back(BusMessage(b"", MAP), TYPED).body) == {}


@pytest.mark.parametrize("content_type", (MAP, LIST))
def test_a_body_that_is_not_what_it_is_called_is_not_sent(content_type: str) -> None:
    with pytest.raises(WireError):
        encoded(TO, BusMessage(b"\xff" * 9, content_type), "", TYPED)
    assert encoded(TO, BusMessage(b"\xff" * 9, content_type), "", PLAIN)


def test_a_message_that_has_no_time_left_still_has_an_end() -> None:
    came = there_and_back(BusMessage(ttl=-1.0), PLAIN)
    assert came.ttl == pytest.approx(0.001)


def test_what_qpidd_makes_of_old_consoles_is_understood() -> None:
    body = {
        "key": [b"\x01", {"x": proton.int32(1)}],
        "array": proton.Array(proton.UNDESCRIBED, proton.Data.INT, proton.int32(1)),
        "when": proton.timestamp(5),
        "symbol": proton.symbol("s"),
        "real": proton.float32(0.5),
    }
    came = decoded(sections(body=body, correlation_id=proton.ulong(5), user_id=b"admin@QPID", subject="k"), TO, TYPED)
    assert amqp010.decode_map(came.body) == {
        "key": [b"\x01", {"x": 1}],
        "array": [1],
        "when": 5,
        "symbol": "s",
        "real": 0.5,
    }
    assert (came.content_type, came.correlation_id, came.user_id) == (MAP, "5", "admin")
    assert came.to == Address(TO.exchange, "k")


@pytest.mark.parametrize(
    ("correlation_id", "text"),
    ((b"raw", "raw"), ("text", "text"), (uuid.UUID(int=1), str(uuid.UUID(int=1))), (None, "")),
)
def test_any_kind_of_correlation_id_is_text(correlation_id: object, text: str) -> None:
    assert decoded(sections(correlation_id=correlation_id), TO, PLAIN).correlation_id == text


@pytest.mark.parametrize(("body", "found"), ((b"x", b"x"), ("text", b"text"), (None, b""), (7, b""), (1.5, b"")))
def test_a_body_is_bytes_or_text_or_counts_as_none(body: object, found: bytes) -> None:
    assert decoded(sections(body=body), TO, PLAIN).body == found


@pytest.mark.parametrize("body", ({"d": proton.Described(1, 2)}, [proton.Described(1, 2)]))
def test_types_that_qmf_has_not_are_refused(body: object) -> None:
    with pytest.raises(WireError, match="nothing that AMQP 0-10 has"):
        decoded(sections(body=body), TO, TYPED)


def test_a_map_with_keys_that_proton_cannot_hash_is_refused() -> None:
    with pytest.raises(WireError):
        decoded(sections(body={b"key": 1}), TO, TYPED)


def test_maps_within_maps_without_end_are_refused() -> None:
    body: dict[str, object] = {}
    for _ in range(20):
        body = {"more": body}
    with pytest.raises(WireError, match="within each other"):
        decoded(sections(body=body), TO, TYPED)


@given(st.binary(max_size=200))
def test_whatever_comes_makes_a_message_or_an_error_of_the_wire(data: bytes) -> None:
    try:
        came = decoded(data, TO, TYPED)
    except WireError:
        return
    assert isinstance(came.body, bytes)
    assert all(isinstance(name, str) for name, _ in came.headers)
    assert all(value is None or isinstance(value, (str, int, bytes)) for _, value in came.headers)


@given(st.data())
def test_a_message_with_a_broken_byte_makes_a_message_or_an_error_of_the_wire(data: st.DataObject) -> None:
    whole = bytearray(encoded(TO, BusMessage(amqp010.encode_map({"a": [1, "b"]}), MAP, (("x", "y"),)), "u", TYPED))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded(bytes(whole), TO, TYPED)
    except WireError:
        return
