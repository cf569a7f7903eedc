"""Decides what the fuzzers feed to the wire decoders: valid messages, damaged ones, and pure noise."""

from __future__ import annotations

from hypothesis import strategies as st

from fencebus_schemas import digest, serialline, xvm

names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=63).filter(
    lambda name: len(name.encode()) < xvm.NAME_LENGTH
)
"""Every name that fits a request: UTF-8, without NUL, at most 63 bytes."""

keys = st.binary(min_size=1, max_size=64)
hash_types = st.sampled_from(range(len(digest.HASH_NAMES)))
bytes_u8 = st.integers(0, 0xFF)
numbers_u32 = st.integers(0, 0xFFFFFFFF)

_requests_by_family = [
    st.builds(
        xvm.XvmRequest,
        bytes_u8,
        names,
        flags=bytes_u8,
        address=st.binary(min_size=length, max_size=length),
        family=st.just(family),
        port=st.integers(0, 0xFFFF),
        random=st.binary(min_size=xvm.RANDOM_LENGTH, max_size=xvm.RANDOM_LENGTH),
        seqno=numbers_u32,
    )
    for length, family in ((0, 0), (4, xvm.FAMILY_IPV4), (16, xvm.FAMILY_IPV6))
]
requests = st.one_of(_requests_by_family)
records = st.builds(
    xvm.ListRecord, st.text(min_size=1, max_size=80).filter(lambda t: t[0] != "\0"), st.uuids().map(str), bytes_u8
)
serial_requests = st.builds(serialline.SerialRequest, st.integers(0, xvm.ACTION_LIST), names, numbers_u32)


def damaged(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return messages that were cut, prolonged, or had one byte replaced; and noise of any length."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        message = bytearray(draw(messages))
        if message and draw(st.booleans()):
            message[draw(st.integers(0, len(message) - 1))] = draw(bytes_u8)
        start = draw(st.integers(0, len(message)))
        return (
            bytes(message[:start]) + draw(st.binary(max_size=8)) + bytes(message[start:])[: draw(st.integers(0, 400))]
        )

    return st.one_of(build(), st.binary(max_size=600), messages)


xvm_request_bytes = damaged(requests.map(lambda request: request.pack()))
"""For XvmRequest.unpack."""
record_stream_bytes = damaged(st.lists(records, max_size=4).map(xvm.pack_records))
"""For RecordReader.feed."""
serial_request_bytes = damaged(serial_requests.map(lambda request: request.pack()))
"""For SerialRequest.unpack and RequestReader.feed."""
serial_reply_bytes = damaged(
    st.one_of(
        bytes_u8.map(serialline.pack_reply),
        st.lists(records, max_size=3).map(serialline.pack_list_reply),
    )
)
"""For ReplyReader.feed."""
handshake_bytes = st.one_of(st.binary(min_size=64, max_size=64), st.binary(max_size=130))
"""For each step of the handshake's generators."""
chunk_lengths = st.lists(st.integers(1, 90), max_size=40)
"""Where to cut a stream before it is fed."""
