"""One connection to a guest, over a real socket pair."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from fencebus_host.listeners import connection
from fencebus_host.listeners.connection import MOST_UNREAD, Stream
from fencebus_schemas.errors import WireError

PATIENCE = 30.0


@dataclass
class Pair:
    """Our end, and the guest's."""

    stream: Stream
    guest: socket.socket


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A TCP connection on the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        guest = socket.create_connection(door.getsockname())
        ours, _ = door.accept()
    stream = Stream(ours)
    yield Pair(stream, guest)
    stream.abort()
    guest.close()
    await asyncio.sleep(0)


def break_off(guest: socket.socket) -> None:
    """Close with a reset instead of an end."""
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    guest.close()


async def until_gone(stream: Stream) -> None:
    for _ in range(int(PATIENCE / 0.001)):
        if stream.gone:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it is still there")


@pytest.fixture
async def calling() -> AsyncIterator[Stream]:
    """A connection that is to be made."""
    stream = Stream(socket.socket())
    yield stream
    stream.close()


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """Where a guest waits for a call; it takes none by itself."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        yield listening


async def test_a_call_reaches_who_waits_for_it(calling: Stream, door: socket.socket) -> None:
    await calling.connect(door.getsockname(), PATIENCE)
    guest, _ = door.accept()
    with guest:
        await calling.send(b"here")
        assert guest.recv(16) == b"here"


async def test_a_call_to_where_nobody_waits_is_refused(calling: Stream, door: socket.socket) -> None:
    place = door.getsockname()
    door.close()
    with pytest.raises(ConnectionRefusedError):
        await calling.connect(place, PATIENCE)


async def test_a_call_that_nobody_takes_is_given_up(calling: Stream, door: socket.socket) -> None:
    with contextlib.ExitStack() as others:
        for _ in range(3):  # more than the door has room for
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(door.getsockname())
        with pytest.raises(TimeoutError, match=r"no connection within 0\.05 s"):
            await calling.connect(door.getsockname(), 0.05)


async def test_a_call_that_is_taken_late_is_connected(calling: Stream, door: socket.socket) -> None:
    with contextlib.ExitStack() as others:
        for _ in range(3):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(door.getsockname())
        connecting = asyncio.create_task(calling.connect(door.getsockname(), PATIENCE))
        await asyncio.sleep(0.01)
        assert not connecting.done()
        for _ in range(2):
            others.enter_context(door.accept()[0])
        await connecting  # the kernel asks again after a second


async def test_bytes_are_read_in_the_lengths_that_are_asked_for(pair: Pair) -> None:
    pair.guest.sendall(b"abcdef")
    assert await pair.stream.read(2, PATIENCE) == b"ab"
    assert await pair.stream.read(4, PATIENCE) == b"cdef"


async def test_what_has_come_already_is_read_without_a_round_of_the_loop(pair: Pair) -> None:
    pair.guest.sendall(b"abc")
    reading = pair.stream.read(3, PATIENCE)
    with pytest.raises(StopIteration) as ended:
        reading.send(None)
    assert ended.value.value == b"abc"


async def test_a_read_waits_for_bytes_that_come_one_by_one(pair: Pair) -> None:
    reading = asyncio.create_task(pair.stream.read(3, PATIENCE))
    for byte in (b"a", b"b", b"c"):
        await asyncio.sleep(0.005)
        pair.guest.sendall(byte)
    assert await reading == b"abc"


async def test_a_peer_that_says_too_little_is_silent(pair: Pair) -> None:
    pair.guest.sendall(b"ab")
    with pytest.raises(WireError, match=r"3 bytes did not arrive within 0.05 s \[silent\]"):
        await pair.stream.read(3, 0.05)


async def test_a_peer_that_closes_early_has_closed(pair: Pair) -> None:
    pair.guest.sendall(b"ab")
    pair.guest.close()
    with pytest.raises(WireError, match=r"closed after 2 of 3 bytes \[closed\]"):
        await pair.stream.read(3, PATIENCE)


async def test_what_was_sent_before_the_end_can_still_be_read(pair: Pair) -> None:
    pair.guest.sendall(b"abc")
    pair.guest.close()
    assert await pair.stream.read(1, PATIENCE) == b"a"
    with pytest.raises(WireError, match="closed after 2 of 3 bytes"):
        await pair.stream.read(3, PATIENCE)
    assert pair.stream.gone
    assert await pair.stream.read(2, PATIENCE) == b"bc"


async def test_a_connection_that_breaks_ends_a_read(pair: Pair) -> None:
    reading = asyncio.create_task(pair.stream.read(3, PATIENCE))
    await asyncio.sleep(0.005)
    break_off(pair.guest)
    with pytest.raises(WireError, match=r"lost: .* \[closed\]"):
        await reading


async def test_a_peer_that_sends_without_end_is_not_read_without_end(pair: Pair) -> None:
    pair.guest.setblocking(False)
    sent = 0
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            sent += pair.guest.send(bytes(1 << 16))
        await asyncio.sleep(0.001)
    assert sent < 200 << 16
    assert len(pair.stream._received) <= MOST_UNREAD + (1 << 18)


async def test_a_flood_that_is_dropped_does_not_hide_that_the_peer_leaves(pair: Pair) -> None:
    pair.guest.sendall(bytes(4 * MOST_UNREAD))
    await asyncio.sleep(0.01)
    pair.stream.drop_input()
    pair.guest.sendall(bytes(4 * MOST_UNREAD))
    assert not pair.stream.gone
    pair.guest.close()
    await until_gone(pair.stream)


async def test_a_peer_that_has_closed_its_half_can_still_be_answered(pair: Pair) -> None:
    pair.guest.shutdown(socket.SHUT_WR)
    pair.stream.drop_input()
    await until_gone(pair.stream)
    await pair.stream.send(b"answer")
    assert pair.guest.recv(16) == b"answer"


async def test_a_peer_that_does_not_read_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STEP_SECONDS", 0.05)
    with pytest.raises(WireError, match="does not read"):
        await pair.stream.send(bytes(64 << 20))
    await asyncio.sleep(0)
    assert pair.stream.gone


async def test_a_large_answer_is_sent_while_the_peer_reads(pair: Pair) -> None:
    sending = asyncio.create_task(pair.stream.send(bytes(8 << 20)))
    received = 0
    while received < 8 << 20:
        received += len(await asyncio.to_thread(pair.guest.recv, 1 << 20))
    await sending


async def test_nothing_is_sent_to_a_peer_that_broke_off(pair: Pair) -> None:
    break_off(pair.guest)
    pair.stream.drop_input()
    await until_gone(pair.stream)
    with pytest.raises(WireError, match=r"\[closed\]"):
        await pair.stream.send(b"answer")


async def test_a_peer_hangs_up_in_order_or_breaks_off_or_stays(pair: Pair) -> None:
    assert not await pair.stream.hung_up(0.01)
    pair.guest.sendall(b"more")
    pair.guest.close()
    assert await pair.stream.hung_up(PATIENCE)


async def test_a_peer_that_breaks_off_has_not_hung_up(pair: Pair) -> None:
    break_off(pair.guest)
    assert not await pair.stream.hung_up(PATIENCE)


async def test_the_peer_is_known_by_its_address_while_it_is_there(pair: Pair) -> None:
    assert pair.stream.peername == pair.guest.getsockname()


async def test_s12_a_peer_that_has_left_is_noticed_before_the_loop_reads_it(pair: Pair) -> None:
    assert not pair.stream.has_left
    pair.guest.sendall(b"unread")
    assert not pair.stream.has_left
    pair.guest.close()  # and the loop gets no turn: the daemon was stopped, and a thread goes on first
    assert not pair.stream.gone
    assert pair.stream.has_left
    pair.stream.close()
    assert pair.stream.has_left
