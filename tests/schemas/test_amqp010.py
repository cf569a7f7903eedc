"""The AMQP 0-10 encoding of maps and lists: the vectors of qpid-python and qpid-cpp, every type code, hostile bytes."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas.amqp010 import DEEPEST, LARGEST, Int32, Value, decode_list, decode_map, encode_list, encode_map
from fencebus_schemas.errors import WireError

NAMED = "00000033 00000001 07 5f76616c756573 a8 00000022 00000002 05 5f6e616d65 95 0005 763a703a69"
VECTORS: tuple[tuple[dict[str, Value], str], ...] = (
    ({"_what": "OBJECT"}, "00000013 00000001 05 5f77686174 95 0006 4f424a454354"),
    ({"_values": {"_name": "v:p:i", "_epoch": 1}}, f"{NAMED} 06 5f65706f6368 31 0000000000000001"),
    ({}, "00000004 00000000"),
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.uuids(),
)
NAMES = st.text(max_size=40)
VALUES: st.SearchStrategy[Value] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
READ: tuple[tuple[str, Value], ...] = (
    ("f0", None),
    ("f1", True),
    ("08 00", False),
    ("01 ff", -1),
    ("02 ff", 255),
    ("11 fffe", -2),
    ("12 fffe", 65534),
    ("21 fffffffd", -3),
    ("22 fffffffd", 4294967293),
    ("31 ffffffffffffffff", -1),
    ("32 ffffffffffffffff", 2**64 - 1),
    ("38 0000000000000005", 5),
    ("23 3fc00000", 1.5),
    ("33 3ff8000000000000", 1.5),
    ("04 e4", "ä"),
    ("27 0001f600", "\N{GRINNING FACE}"),
    ("84 01 e4", "ä"),
    ("94 0001 e4", "ä"),
    ("85 02 c3a4", "ä"),
    ("95 0002 c3a4", "ä"),
    ("86 02 00e4", "ä"),
    ("96 0002 00e4", "ä"),
    ("80 02 0102", b"\1\2"),
    ("90 0002 0102", b"\1\2"),
    ("a0 00000002 0102", b"\1\2"),
    ("ab 00000002 0102", b"\1\2"),
    ("00 07", b"\7"),
    ("10 0708", b"\7\x08"),
    ("20 07080900", b"\7\x08\x09\0"),
    ("30 0000000000000007", b"\0\0\0\0\0\0\0\7"),
    ("40 00000000000000000000000000000007", bytes(15) + b"\7"),
    ("c0 0000000007", b"\0\0\0\0\7"),
    ("d8 000000000000000007", bytes(8) + b"\7"),
    ("48 0f0e0d0c0b0a09080706050403020100", uuid.UUID("0f0e0d0c-0b0a-0908-0706-050403020100")),
    ("a8 00000000", {}),
    ("a9 00000004 00000000", []),
    ("aa 00000000", []),
    ("aa 00000007 02 00000002 0506", [5, 6]),
)


def one_item(encoded: str) -> bytes:
    item = bytes.fromhex(encoded)
    return (len(item) + 4).to_bytes(4, "big") + b"\0\0\0\1" + item


@pytest.mark.parametrize(("value", "encoded"), VECTORS)
def test_what_qpid_sends_is_what_we_send_and_read(value: dict[str, Value], encoded: str) -> None:
    assert encode_map(value) == bytes.fromhex(encoded)
    assert decode_map(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(("encoded", "value"), READ)
def test_every_type_of_the_specification_is_read(encoded: str, value: Value) -> None:
    assert decode_list(one_item(encoded)) == [value]


@pytest.mark.parametrize("body", (b"", b"\0\0\0\0"))
def test_both_peers_ways_to_write_nothing_are_read(body: bytes) -> None:
    assert decode_map(body) == {}
    assert decode_list(body) == []


def test_a_number_that_has_to_travel_in_32_bits_does_and_keeps_its_width_when_it_is_passed_on() -> None:
    body = encode_list([Int32(-6), 6])
    assert body == one_item("21 fffffffa 31 0000000000000006").replace(b"\0\0\0\1", b"\0\0\0\2", 1)
    read = decode_list(body)
    assert read == [-6, 6]
    assert encode_list(read) == body
    assert decode_list(encode_list([Int32(2**31)])) == [2**31]


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_map_comes_back_as_it_was(value: dict[str, Value]) -> None:
    assert decode_map(encode_map(value)) == value


@given(st.lists(VALUES, max_size=5))
def test_a_list_comes_back_as_it_was(value: list[Value]) -> None:
    assert decode_list(encode_list(value)) == value


@pytest.mark.parametrize("long", ("x" * 70000, b"x" * 70000))
def test_what_is_too_long_for_str16_goes_as_vbin32(long: str | bytes) -> None:
    data = long.encode() if isinstance(long, str) else long
    assert decode_list(encode_list([long])) == [data]


@pytest.mark.parametrize(
    ("encoded", "code"),
    (
        ("77", "type"),
        ("95 0009 61", "length"),
        ("a8 00000004", "length"),
        ("a8 00000002 0000", "length"),
        ("a9 00000006 00000001 f0 f0", "length"),
        ("a9 00000005 00000099 f0", "count"),
        ("aa 00000005 02 00000099", "count"),
        ("aa 00000006 02 00000000 05", "length"),
    ),
)
def test_bytes_that_lie_about_themselves_are_refused(encoded: str, code: str) -> None:
    with pytest.raises(WireError) as refused:
        decode_list(one_item(encoded))
    assert refused.value.code == code


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(WireError, match="trailing"):
        decode_map(encode_map({"a": 1}) + b"\0")


def test_what_is_too_deep_long_or_large_is_refused() -> None:
    deep: list[Value] = []
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(WireError, match="depth"):
        encode_list(deep)
    nested = b"\xf0"
    for _ in range(DEEPEST):
        nested = b"\xa9" + (len(nested) + 4).to_bytes(4, "big") + b"\0\0\0\1" + nested
    with pytest.raises(WireError, match="depth"):
        decode_list((len(nested) + 4).to_bytes(4, "big") + b"\0\0\0\1" + nested)
    with pytest.raises(WireError, match="key-length"):
        encode_map({"x" * 256: 1})
    with pytest.raises(WireError, match="range"):
        encode_list([2**64])
    with pytest.raises(WireError, match="length"):
        decode_map(bytes(LARGEST + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decode in (decode_map, decode_list):
        with contextlib.suppress(WireError):
            decode(data)
