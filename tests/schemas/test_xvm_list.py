"""The host list: 130-byte records, as C's daemon sends them and as it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given

from fencebus_schemas import xvm
from fencebus_schemas.errors import WireError
from tests.captured import require_payloads
from tests.fuzz import strategies_wire as wire
from tests.schemas import feeding

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
TWO = (xvm.ListRecord("test", UUID, 1), xvm.ListRecord("d\u00e9j\u00e0 vu", UUID, 5))


def read(data: Iterator[bytes]) -> tuple[list[xvm.ListRecord], bool]:
    reader = xvm.RecordReader()
    return [record for piece in data for record in reader.feed(piece)], reader.done


def test_a_list_is_fd_records_zeros_and_a_result() -> None:
    raw = xvm.pack_list(TWO[:1])
    assert raw[0] == xvm.REPLY_LIST
    assert raw[1:131] == b"test".ljust(64, b"\0") + UUID.encode().ljust(64, b"\0") + b"\x01\0"
    assert raw[131:261] == bytes(130)
    assert raw[261:] == b"\0"
    assert xvm.pack_list([], result=1)[-1] == 1


@pytest.mark.parametrize("way", feeding.WAYS)
@pytest.mark.parametrize("garbage", (b"", b"\0", b"\0" * 300, b"xyz" * 100))
def test_a_list_is_read_up_to_its_end(way: Callable[[bytes], Iterator[bytes]], garbage: bytes) -> None:
    assert read(way(xvm.pack_records(TWO) + garbage)) == (list(TWO), True)


@pytest.mark.parametrize("length", range(3 * xvm.RECORD_LENGTH))
def test_a_truncated_list_is_not_done(length: int) -> None:
    records, done = read(feeding.whole(xvm.pack_records(TWO)[:length]))
    assert records == list(TWO[: length // xvm.RECORD_LENGTH])
    assert not done


def test_the_lists_of_the_capture_are_read_with_their_garbage() -> None:
    lists = [p.data for p in require_payloads() if len(p.data) == 2 * xvm.RECORD_LENGTH + 1]
    assert len(lists) >= 3
    for raw in lists:
        assert read(feeding.byte_by_byte(raw)) == ([xvm.ListRecord("test", UUID, 1)], True)


def test_what_cs_daemon_leaves_in_a_record_does_no_harm() -> None:
    unterminated = b"n" * 64 + UUID.encode() + b"\0" * 27 + b"-" + b"\x01["
    broken_utf8 = b"v\xc3".ljust(64, b"\0") + UUID.encode().ljust(64, b"\0") + b"\x05\0"
    records, done = read(feeding.whole(unterminated + broken_utf8 + bytes(130)))
    assert records == [xvm.ListRecord("n" * 63, UUID, 1), xvm.ListRecord("v\udcc3", UUID, 5)]
    assert done


@pytest.mark.parametrize(
    ("name", "sent"),
    (
        ("x" * 62, "x" * 62),
        ("x" * 63, "x" * 63),
        ("x" * 64, "x" * 63),
        ("x" * 300, "x" * 63),
        ("x" * 62 + "\u00e9", "x" * 62),
        ("x" * 61 + "\u00e9", "x" * 61 + "\u00e9"),
        ("x" * 60 + "\U0001f40d", "x" * 60),
        ("a\0b", "a"),
    ),
)
def test_a_long_name_is_cut_between_characters_and_ends_with_a_nul(name: str, sent: str) -> None:
    raw = xvm.pack_records([xvm.ListRecord(name, UUID, 1), TWO[0]])
    assert raw[63] == 0
    assert read(feeding.whole(raw)) == ([xvm.ListRecord(sent, UUID, 1), TWO[0]], True)


def test_a_record_without_name_and_uuid_cannot_be_sent() -> None:
    with pytest.raises(WireError) as caught:
        xvm.pack_records([xvm.ListRecord("", "", 1)])
    assert caught.value.code == "empty-record"
    assert read(feeding.whole(xvm.pack_records([xvm.ListRecord("", UUID, 1)])))[1]


def test_a_list_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xvm, "MAX_RECORDS", 10)
    reader = xvm.RecordReader()
    assert len(reader.feed(TWO[0].pack() * 10)) == 10
    with pytest.raises(WireError) as caught:
        reader.feed(TWO[0].pack())
    assert caught.value.code == "list-length"


@given(wire.record_stream_bytes, wire.chunk_lengths)
def test_noise_gives_the_same_records_however_it_is_cut(data: bytes, lengths: list[int]) -> None:
    assert read(feeding.in_pieces(data, lengths)) == read(feeding.whole(data))
