"""This machine's addresses, asked of the kernel."""

from __future__ import annotations

import json
import socket
import struct
import subprocess

import pytest

from fencebus_guest import addresses
from fencebus_guest.addresses import LocalAddress, parse_messages
from tests.components import require_program

LO = 1


def message(family: int, *attributes: tuple[int, bytes], type_: int = 20) -> bytes:
    body = struct.pack("=BBBBI", family, 8, 0, 0, LO)
    for number, value in attributes:
        raw = struct.pack("=HH", 4 + len(value), number) + value
        body += raw + bytes(-len(raw) % 4)
    return struct.pack("=IHHII", 16 + len(body), type_, 0, 1, 0) + body


@pytest.mark.parametrize(("family", "word"), ((socket.AF_INET, "inet"), (socket.AF_INET6, "inet6")))
def test_the_addresses_are_those_that_ip_shows(family: int, word: str) -> None:
    ip = require_program("ip", package="iproute2")
    shown = json.loads(subprocess.run([ip, "-j", "addr"], capture_output=True, check=True).stdout)
    expected = {(a["local"], link["ifindex"]) for link in shown for a in link["addr_info"] if a["family"] == word}
    found = {(address.text, address.index) for address in addresses.local_addresses(family)}
    assert found <= expected
    if family == socket.AF_INET:
        assert found == expected
        assert ("127.0.0.1", LO) in found


def test_a_point_to_point_interface_counts_with_our_own_end() -> None:
    ours, theirs = b"\x0a\0\0\1", b"\x0a\0\0\2"
    data = message(2, (1, theirs), (2, ours), (3, b"ppp0\0")) + message(10, (1, bytes(16)))
    assert parse_messages(data, 2) == ([LocalAddress(ours, LO)], False)


def test_a_dump_ends_with_done_or_an_error() -> None:
    end = struct.pack("=IHHII", 20, 3, 2, 1, 0) + bytes(4)
    assert parse_messages(message(2, (1, b"\x0a\0\0\1")) + end, 2) == ([LocalAddress(b"\x0a\0\0\1", LO)], True)
    assert parse_messages(struct.pack("=IHHII", 36, 2, 0, 1, 0) + bytes(20), 2) == ([], True)
    assert parse_messages(b"", 2) == ([], False)


def test_broken_lengths_cannot_loop() -> None:
    assert parse_messages(bytes(64), 2) == ([], True)
    broken = struct.pack("=IHHII", 28, 20, 0, 1, 0) + struct.pack("=BBBBI", 2, 8, 0, 0, LO) + bytes(4)
    assert parse_messages(broken, 2) == ([], False)
    assert parse_messages(message(2, type_=21), 2) == ([], False)


def test_ipv6_asks_from_useful_addresses_and_from_loopback_only_when_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback = LocalAddress(bytes(15) + b"\1", LO)
    link_local = LocalAddress(b"\xfe\x80" + bytes(14), 2)
    site = LocalAddress(b"\xfd\0" + bytes(14), 2)
    for there, used in (([loopback, link_local, site], [site]), ([loopback, link_local], [loopback]), ([], [])):
        monkeypatch.setattr(addresses, "_dump", lambda family, there=there: there)
        assert addresses.local_addresses(socket.AF_INET6) == used
    assert site.text == "fd00::"
