"""Headers as the application properties of AMQP 1.0, without proton and with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.amqp1_section import APP_ID, HEADER, headers_of, section
from fencebus_agent.bus import BusMessage, HeaderValue
from fencebus_schemas.errors import WireError
from tests.components import require_module

values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
headers = st.dictionaries(st.text(max_size=50), values, max_size=6)


@given(headers)
def test_what_is_written_is_read_as_it_was(given_headers: dict[str, HeaderValue]) -> None:
    data = section(BusMessage(headers=tuple(given_headers.items())))
    assert (headers_of(data) if data else {}) == given_headers


def test_a_message_without_headers_has_no_section_and_the_app_id_is_one_of_them() -> None:
    assert section(BusMessage()) == b""
    assert headers_of(section(BusMessage(app_id="qmf2"))) == {APP_ID: "qmf2"}


@given(headers.filter(bool))
def test_proton_reads_what_is_written_and_what_proton_writes_is_read(given_headers: dict[str, HeaderValue]) -> None:
    proton = require_module("proton", extra="qmf")
    theirs = proton.Message()
    theirs.decode(section(BusMessage(headers=tuple(given_headers.items()))))
    read = {name: bytes(value) if isinstance(value, memoryview) else value for name, value in theirs.properties.items()}
    assert read == given_headers
    theirs.properties = {
        name: proton.ulong(value) if type(value) is int and value >= 2**63 else value
        for name, value in given_headers.items()
    }
    data = bytes(theirs.encode())
    assert headers_of(data[data.index(b"\x00\x53\x74") :]) == given_headers


def test_of_types_that_no_header_has_only_the_one_is_left_out() -> None:
    proton = require_module("proton", extra="qmf")
    message = proton.Message()
    message.properties = {
        "float": 1.5,
        "list": [1, 2],
        "map": {"a": 1},
        "symbol": proton.symbol("s"),
        "int": proton.int32(-1),
        "small": proton.ulong(0),
        "text": "t" * 300,
    }
    data = bytes(message.encode())
    assert headers_of(data[data.index(b"\x00\x53\x74") :]) == {"int": -1, "small": 0, "text": "t" * 300}


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x00\x53\x74\xd1" + tail))
def test_whatever_comes_is_headers_or_an_error_of_the_wire(data: bytes) -> None:
    try:
        found = headers_of(data)
    except WireError:
        return
    assert all(isinstance(name, str) for name in found)


@pytest.mark.parametrize(
    ("hexadecimal", "code"),
    (
        ("", "length"),
        ("005373c10100", "section"),
        ("005374c00100", "type"),
        ("005374c10200", "length"),
        ("005374c10101", "count"),
        ("005374c10109", "count"),
        ("005374c1020040", "trailing"),
        ("005374c103020000", "type"),
        ("005374c10302a1", "length"),
        ("005374c1040240a1", "length"),
    ),
)
def test_what_is_no_map_of_properties_is_refused(hexadecimal: str, code: str) -> None:
    with pytest.raises(WireError) as caught:
        headers_of(bytes.fromhex(hexadecimal))
    assert caught.value.code == code


def test_no_section_is_text_so_that_a_library_that_guesses_gives_it_back_as_bytes() -> None:
    data = section(BusMessage(headers=(("a", "b"),)))
    with pytest.raises(UnicodeDecodeError):
        data.decode()
    assert HEADER.startswith("x-amqp-1.0-")
