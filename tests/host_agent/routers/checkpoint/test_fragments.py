"""Messages in pieces: whole again for whom they are meant, whatever strangers put between them."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.checkpoint.fragments import HEAD, MOST_OPEN, Assembly, mark_of, split
from fencebus_host.routers.checkpoint.happenings import Peer
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE
from fencebus_schemas.peer_codec import MOST_BYTES

ME, OTHER = HostId("me"), HostId("other")
PEER, STRANGER = Peer(1, 10), Peer(2, 20)


def fed(assembly: Assembly, pieces: list[bytes], peer: Peer = PEER) -> list[bytes]:
    return [whole for piece in pieces for whole in assembly.add(peer, piece)]


@given(st.binary(max_size=300), st.integers(1, 64), st.sampled_from((ME, EVERYONE)))
def test_what_is_split_comes_together_again(message: bytes, room: int, to: HostId) -> None:
    pieces = list(split(message, to, 7, HEAD.size + room))
    assert all(len(piece) <= HEAD.size + room for piece in pieces)
    assert fed(Assembly(ME), pieces) == [message]


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=MOST_OPEN), st.randoms())
def test_messages_of_one_sender_may_alternate(messages: list[bytes], random: object) -> None:
    lanes = [list(split(message, ME, number, HEAD.size + 7)) for number, message in enumerate(messages)]
    mixed: list[bytes] = []
    while any(lanes):
        for lane in lanes:
            mixed += lane[:1]
            del lane[:1]
    assert sorted(fed(Assembly(ME), mixed)) == sorted(messages)


@given(st.lists(st.tuples(st.binary(max_size=40), st.sampled_from((ME, OTHER, EVERYONE))), max_size=6))
def test_a_packet_may_hold_the_pieces_of_many_messages(messages: list[tuple[bytes, HostId]]) -> None:
    pieces = [piece for number, (message, to) in enumerate(messages) for piece in split(message, to, number, 40)]
    expected = [message for message, to in messages if to != OTHER]
    assert Assembly(ME).add(PEER, b"".join(pieces)) == expected


def test_what_is_for_another_host_is_not_put_together() -> None:
    assert fed(Assembly(ME), list(split(b"x" * 100, OTHER, 1, 54))) == []
    assert mark_of(ME) != mark_of(OTHER)
    assert mark_of(EVERYONE) == 0


def test_the_pieces_of_two_senders_are_never_mixed() -> None:
    assembly = Assembly(ME)
    first, second = list(split(b"a" * 90, ME, 1, 78)), list(split(b"b" * 90, ME, 1, 78))
    assert fed(assembly, first[:1]) == []
    assert fed(assembly, second, STRANGER) == [b"b" * 90]
    assert fed(assembly, first[1:]) == [b"a" * 90]


def test_who_joins_in_the_middle_of_a_message_waits_for_the_next() -> None:
    pieces = list(split(b"a" * 200, ME, 1, 78))
    assert fed(Assembly(ME), pieces[1:]) == []


def test_what_a_sender_that_left_had_begun_is_forgotten() -> None:
    assembly = Assembly(ME)
    pieces = list(split(b"a" * 100, ME, 1, 78))
    fed(assembly, pieces[:1])
    assembly.forget(PEER)
    assert fed(assembly, pieces[1:]) == []


def test_a_message_that_was_begun_again_counts_from_its_beginning() -> None:
    assembly = Assembly(ME)
    pieces = list(split(b"a" * 100, ME, 1, 78))
    assert fed(assembly, [pieces[0], pieces[0], pieces[1]]) == [b"a" * 100]


def test_a_sender_that_finishes_nothing_takes_no_more_than_a_few_places() -> None:
    assembly = Assembly(ME)
    begun = [list(split(b"a" * 100, ME, number, 78)) for number in range(100)]
    for pieces in begun:
        fed(assembly, pieces[:1])
    finished = [whole for pieces in begun for whole in fed(assembly, pieces[1:])]
    assert len(finished) == MOST_OPEN


def test_a_message_longer_than_any_is_given_up() -> None:
    assembly = Assembly(ME)
    pieces = list(split(bytes(MOST_BYTES + 1), ME, 1, MOST_BYTES // 4))
    with pytest.raises(WireError, match="order"):
        fed(assembly, pieces)


@pytest.mark.parametrize(
    ("piece", "code"),
    (
        (HEAD.pack(b"fbcg", 1, 0, 1, 0, 1, 1), "length"),
        (b"x" * (HEAD.size - 1), "length"),
        (HEAD.pack(b"xbcg", 1, 0, 1, 0, 1, 0), "magic"),
        (HEAD.pack(b"fbcg", 2, 0, 1, 0, 1, 0), "version"),
        (HEAD.pack(b"fbcg", 1, 0, 1, 0, 0, 0), "range"),
        (HEAD.pack(b"fbcg", 1, 0, 1, 3, 3, 0), "range"),
        (HEAD.pack(b"fbcg", 1, 0, 1, 0, 5000, 0), "range"),
    ),
)
def test_what_is_no_piece_is_refused(piece: bytes, code: str) -> None:
    with pytest.raises(WireError) as refused:
        Assembly(ME).add(PEER, piece)
    assert refused.value.code == code


def test_pieces_out_of_order_are_refused_and_end_their_message() -> None:
    assembly = Assembly(ME)
    pieces = list(split(b"a" * 200, ME, 1, 78))
    fed(assembly, pieces[:1])
    with pytest.raises(WireError, match="order"):
        assembly.add(PEER, pieces[2])
    assert fed(assembly, pieces[1:]) == []


@given(st.lists(st.tuples(st.sampled_from((PEER, STRANGER)), st.binary(max_size=80)), max_size=20))
def test_hostile_bytes_raise_nothing_but_a_wire_error(pieces: list[tuple[Peer, bytes]]) -> None:
    assembly = Assembly(ME)
    for peer, piece in pieces:
        for each in (piece, struct.pack("!4sB3x", b"fbcg", 1) + piece):
            with contextlib.suppress(WireError):
                assembly.add(peer, each)
