"""Values are read strictly: what is not clearly of its type is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config import values
from fencebus_host.config.key_table import serial_mode
from fencebus_host.config.model import Digest, SerialMode
from fencebus_host.config.values import BadValueError

PORT = values.whole_number(1, 65535)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    (
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (PORT, " 1229\n", 1229),
        (PORT, "+7", 7),
        (PORT, "01229", 1229),
        (values.switch, "0", False),
        (values.switch, "1", True),
        (values.switch, "-3", True),
        (values.seconds, "25", 25.0),
        (values.seconds, "0.5", 0.5),
        (values.seconds, "3600", 3600.0),
        (values.one_of(Digest), "SHA512", Digest.SHA512),
        (values.path, "key", Path("key")),
        (values.absolute_path, "/var/lib/x", Path("/var/lib/x")),
        (values.paths, "/a, /b ,/c", (Path("/a"), Path("/b"), Path("/c"))),
        (values.words, "Multicast, tcp", ("multicast", "tcp")),
        (values.host_id, "node-1_a", "node-1_a"),
        (values.interface, "virbr0.100", "virbr0.100"),
        (values.text, "x", "x"),
        (values.any_text, "", ""),
        (serial_mode, "serial", SerialMode.SERIAL),
        (serial_mode, "VMChannel", SerialMode.VMCHANNEL),
        (serial_mode, "0", SerialMode.SERIAL),
        (serial_mode, "2", SerialMode.VMCHANNEL),
    ),
)
def test_a_right_value_is_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    (
        *(
            (PORT, text)
            for text in ("", "0", "65536", "-1", "12x", "x", "0x10", "1 2", "1e3", "1.0", "²", "٣", "9" * 5000)
        ),
        *((values.switch, text) for text in ("yes", "no", "", "1x")),
        *((values.seconds, text) for text in ("0", "0.0", "-1", "3600.1", "nan", "inf", "1e3", "", ".5", "5.")),
        *((values.one_of(Digest), text) for text in ("md5", "", " sha256", "sha-256")),
        *((values.path, text) for text in ("", "a\0b")),
        *((values.absolute_path, text) for text in ("", "a", "./a")),
        *((values.paths, text) for text in ("", "/a,", ",/a", "/a,,/b")),
        *((values.words, text) for text in ("", ",", "a,,b", " ")),
        *((values.host_id, text) for text in ("", "a.b", "a:b", "ä", "x" * 65)),
        *((values.interface, text) for text in ("", "a b", "a/b", "averyveryverylongname")),
        (values.text, ""),
        *((serial_mode, text) for text in ("", "modem", "1x")),
    ),
)
def test_a_wrong_value_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(BadValueError):
        read(text)


@pytest.mark.parametrize(
    ("read", "text", "message", "suggestion"),
    (
        (PORT, "12x", 'must be a whole number from 1 to 65535, not "12x"', ""),
        (values.switch, "Yes", 'must be 0 or 1, not "Yes"', 'write "1"'),
        (values.switch, "off", 'must be 0 or 1, not "off"', 'write "0"'),
        (values.one_of(Digest), "sha265", 'does not know "sha265"', "did you mean `sha256`?"),
        (values.host_id, "a.example", 'must be letters, digits, "-" and "_", at most 64, not "a.example"', 'write "a"'),
    ),
)
def test_the_reason_says_what_is_wanted(
    read: Callable[[str], object], text: str, message: str, suggestion: str
) -> None:
    with pytest.raises(BadValueError) as caught:
        read(text)
    assert (str(caught.value), caught.value.suggestion) == (message, suggestion)


@pytest.mark.parametrize(
    "text", ("10.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "fe80::1", "2001:db8::/32", "3", "4294967295")
)
def test_an_address_a_network_and_a_cid_can_be_sources(text: str) -> None:
    assert values.is_source(text)


@pytest.mark.parametrize("text", ("", "node1", "10.0.0.256", "10.0.0.0/33", "-1", "²", "1.5"))
def test_anything_else_is_no_source(text: str) -> None:
    assert not values.is_source(text)


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_a_bad_value(text: str) -> None:
    for read in (PORT, values.switch, values.seconds, values.path, values.words, values.host_id, values.interface):
        with suppress(BadValueError):
            read(text)
    values.is_source(text)
