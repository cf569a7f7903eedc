"""Converts the loopback capture of the C programs to the payloads of its UDP datagrams and TCP streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from tests.components import require_captures

# libpcap: 24 bytes of file header, then 16 before each packet; each packet begins with the 20 bytes of LINUX_SLL2.
_PACKET = Struct("<8xII")
_FILE_HEADER = 24
_LINK_HEADER = 20
_ETHERTYPE_IPV4 = b"\x08\x00"
TCP = 6
UDP = 17


class Payload(NamedTuple):
    """What one packet carried; ports tell the direction."""

    protocol: int
    source: int
    destination: int
    data: bytes


def require_key() -> bytes:
    """Return the 16-byte key that the captured programs used."""
    return (require_captures() / "key.bin").read_bytes()


def require_payloads() -> list[Payload]:
    """Return every payload of the capture, in the order of time."""
    return list(_payloads(require_captures() / "loopback_4.12.1.pcap"))


def _payloads(path: Path) -> Iterator[Payload]:
    raw = path.read_bytes()
    at = _FILE_HEADER
    while at < len(raw):
        captured, _original = _PACKET.unpack_from(raw, at)
        at += _PACKET.size
        frame = raw[at : at + captured]
        at += captured
        if frame[:2] == _ETHERTYPE_IPV4:
            yield from _of_ipv4(frame[_LINK_HEADER:])


def _of_ipv4(packet: bytes) -> Iterator[Payload]:
    header = (packet[0] & 15) * 4
    segment = packet[header : int.from_bytes(packet[2:4], "big")]
    protocol = packet[9]
    if protocol not in {TCP, UDP}:
        return
    data = segment[8:] if protocol == UDP else segment[(segment[12] >> 4) * 4 :]
    if data:
        yield Payload(protocol, int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big"), data)
