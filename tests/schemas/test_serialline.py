"""Requests and replies on a serial line, in clean and in noisy streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas import serialline, xvm
from fencebus_schemas.errors import WireError
from tests.fuzz import strategies_wire as wire
from tests.schemas import feeding

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
GOLDEN = bytes.fromhex("61626261" + "0400") + b"guest1".ljust(64, b"\0") + bytes.fromhex("01000000")
STATUS = serialline.SerialRequest(xvm.ACTION_STATUS, "guest1", 1)
RECORDS = [xvm.ListRecord("test", UUID, 1), xvm.ListRecord("two", UUID, 5)]
RUBBISH = (b"", b"a", b"ab", b"abb", b"abba", b"ababb", b"login: ", b"\xff\0\xff", b"abba\x04\0guest", GOLDEN[:40])


def requests_in(data: Iterator[bytes]) -> list[serialline.SerialRequest]:
    reader = serialline.RequestReader()
    return [request for piece in data for request in reader.feed(piece)]


def reply_in(data: Iterator[bytes]) -> tuple[int | None, list[xvm.ListRecord], bool]:
    reader = serialline.ReplyReader()
    for piece in data:
        reader.feed(piece)
    return reader.code, reader.records, reader.done


def test_a_request_has_the_bytes_of_the_worked_example() -> None:
    assert STATUS.pack() == GOLDEN
    assert serialline.SerialRequest.unpack(GOLDEN) == STATUS
    assert serialline.SerialRequest.unpack(memoryview(GOLDEN)) == STATUS
    assert str(STATUS) == "action 4 'guest1' seqno=1"


@pytest.mark.parametrize("length", (*range(74), 75, 148))
def test_any_other_length_is_no_request(length: int) -> None:
    with pytest.raises(WireError) as caught:
        serialline.SerialRequest.unpack((GOLDEN * 2)[:length])
    assert caught.value.code == "length"


@pytest.mark.parametrize(
    ("offset", "data", "code"),
    (
        (0, b"b", "magic"),
        (4, b"\x07", "action"),
        (5, b"\x01", "flags"),
        (20, b"x", "padding"),
        (6, b"x" * 64, "unterminated"),
        (6, b"\xff", "utf8"),
    ),
)
def test_what_cs_client_never_sends_is_noise(offset: int, data: bytes, code: str) -> None:
    raw = GOLDEN[:offset] + data + GOLDEN[offset + len(data) :]
    with pytest.raises(WireError) as caught:
        serialline.SerialRequest.unpack(raw)
    assert caught.value.code == code
    assert requests_in(feeding.byte_by_byte(raw + GOLDEN)) == [STATUS]


@pytest.mark.parametrize("way", feeding.WAYS)
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_a_request_is_found_behind_any_rubbish(way: Callable[[bytes], Iterator[bytes]], rubbish: bytes) -> None:
    assert requests_in(way(rubbish + GOLDEN + rubbish + GOLDEN)) == [STATUS, STATUS]


@pytest.mark.parametrize("length", range(74))
def test_half_a_request_is_forgotten_when_its_rest_does_not_come(length: int) -> None:
    reader = serialline.RequestReader()
    assert reader.feed(GOLDEN[:length]) == []
    reader.discard()
    assert reader.feed(GOLDEN) == [STATUS]


@pytest.mark.parametrize("way", feeding.WAYS)
@pytest.mark.parametrize("rubbish", (b"", b"a", b"ab", b"abb", b"login: ", b"\xff"))
@pytest.mark.parametrize("code", (0, 1, 2, 3, 255))
def test_a_reply_is_found_behind_any_rubbish(
    way: Callable[[bytes], Iterator[bytes]], rubbish: bytes, code: int
) -> None:
    raw = serialline.pack_reply(code)
    assert raw == b"abba" + bytes([code])
    assert reply_in(way(rubbish + raw + b"later bytes")) == (code, [], True)


@pytest.mark.parametrize("way", feeding.WAYS)
def test_a_list_is_a_reply_the_records_and_a_second_reply(way: Callable[[bytes], Iterator[bytes]]) -> None:
    raw = serialline.pack_list_reply(RECORDS)
    assert len(raw) == 400
    assert raw[:5] == b"abba\xfd"
    assert raw[-5:] == b"abba\0"
    assert reply_in(way(raw)) == (xvm.REPLY_LIST, RECORDS, True)


@pytest.mark.parametrize("length", range(395))
def test_a_truncated_list_is_never_done(length: int) -> None:
    code, records, done = reply_in(feeding.whole(serialline.pack_list_reply(RECORDS)[:length]))
    assert not done
    assert (code is None, len(records)) == (length < 5, max(0, length - 5) // xvm.RECORD_LENGTH)


@given(st.lists(wire.serial_requests, max_size=4), wire.chunk_lengths)
def test_requests_come_out_as_they_went_in(requests: list[serialline.SerialRequest], lengths: list[int]) -> None:
    stream = b"".join(request.pack() for request in requests)
    assert requests_in(feeding.in_pieces(stream, lengths)) == requests


@given(wire.serial_request_bytes, wire.chunk_lengths)
def test_noise_never_fills_the_memory_and_reads_the_same_however_cut(data: bytes, lengths: list[int]) -> None:
    reader = serialline.RequestReader()
    found = []
    for piece in feeding.in_pieces(data, lengths):
        found += reader.feed(piece)
        assert len(reader._buffer) < serialline.REQUEST_LENGTH
    assert found == requests_in(feeding.whole(data))


@given(wire.serial_reply_bytes, wire.chunk_lengths)
def test_noise_gives_the_same_reply_however_it_is_cut(data: bytes, lengths: list[int]) -> None:
    assert reply_in(feeding.in_pieces(data, lengths)) == reply_in(feeding.whole(data))
