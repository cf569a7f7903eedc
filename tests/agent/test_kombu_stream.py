"""The stream under py-amqp, over real sockets: a server that says raw bytes, the loop, and threads that wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from struct import Struct

import pytest

from fencebus_agent.bus_tls import context_of
from fencebus_agent.kombu_stream import HEADER, LARGEST, LITTLE, MUCH, UNHEARD, Frame, Stream, on_loop
from fencebus_schemas.bus_url import Tls
from tests.hypervisors import eventually
from tests.managers.certificates import made

HEAD = Struct(">BHI")
PATIENCE = 30.0


def frame(payload: bytes = b"", kind: int = 1, channel: int = 0, end: int = 0xCE) -> bytes:
    """As it is on the wire."""
    return HEAD.pack(kind, channel, len(payload)) + payload + bytes((end,))


class Far:
    """The other end of a stream."""

    def __init__(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stream, self.reader, self.writer = stream, reader, writer
        self.heeded: list[Callable[[], None]] = []

    def heed(self) -> None:
        """The stream has called."""
        for each in self.heeded:
            each()

    async def says(self, data: bytes) -> None:
        """It has been written."""
        self.writer.write(data)
        await self.writer.drain()

    async def hears(self, data: bytes) -> None:
        """Exactly this comes, and nothing before it."""
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.readexactly(len(data)) == data


@contextlib.asynccontextmanager
async def linked(
    patience: float = PATIENCE, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None
) -> AsyncIterator[Far]:
    """A stream that is connected."""
    came: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    came = asyncio.get_running_loop().create_future()

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set_result((reader, writer))

    ends: list[Far] = []
    listening = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    stream = Stream(patience, lambda: ends[0].heed() if ends else None)
    name = "localhost" if client else None
    port = listening.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_connection(
        lambda: stream, "127.0.0.1", port, ssl=client, server_hostname=name
    )
    async with asyncio.timeout(PATIENCE):
        ends.append(Far(stream, *await came))
    try:
        yield ends[0]
    finally:
        stream.abort("over")
        ends[0].writer.transport.abort()
        listening.close()
        await asyncio.sleep(0)


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    """The other end of a stream without TLS."""
    async with linked() as end:
        yield end


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server and of a client that believes it."""
    files = made(Path(tmp_path_factory.mktemp("certificates")))
    return files.server(), context_of(Tls(str(files.ca)))


async def in_thread(stream: Stream) -> Frame:
    """A frame that a thread has waited for."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(stream.read_frame)


# ---- reading


async def test_the_kernel_gives_up_a_line_on_which_nothing_is_acknowledged() -> None:
    async with linked() as far:
        assert far.stream._transport is not None
        line: socket.socket = far.stream._transport.get_extra_info("socket")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNHEARD


async def test_a_frame_is_there_once_its_last_byte_is(far: Far) -> None:
    whole = frame(b"payload", 3, 258)
    for at in range(len(whole)):
        assert not far.stream.has_frame
        far.stream.data_received(whole[at : at + 1])
    assert far.stream.has_frame
    assert far.stream.read_frame() == (3, 258, b"payload")
    assert not far.stream.has_frame


async def test_many_frames_in_one_piece_come_one_after_the_other(far: Far) -> None:
    await far.says(frame(b"1") + frame(b"") + frame(b"3", 8) + frame(b"rest")[:-2])
    assert [await in_thread(far.stream) for _ in range(3)] == [(1, 0, b"1"), (1, 0, b""), (8, 0, b"3")]
    assert not far.stream.has_frame


async def test_a_thread_waits_for_a_frame_and_the_loop_does_not(far: Far) -> None:
    waiting = asyncio.create_task(in_thread(far.stream))
    with pytest.raises(AssertionError):
        far.stream.read_frame()
    await far.says(frame(b"late"))
    assert await waiting == (1, 0, b"late")


async def test_a_thread_waits_only_for_so_long(far: Far) -> None:
    def read() -> Frame:
        with far.stream.having_timeout(0.01):
            return far.stream.read_frame()

    with pytest.raises(TimeoutError, match="timed out"):
        await asyncio.to_thread(read)
    waiting = asyncio.create_task(in_thread(far.stream))  # as patient as before
    await asyncio.sleep(0.05)
    await far.says(frame())
    assert await waiting == (1, 0, b"")


async def test_nobody_else_is_named_a_patience_and_so_the_streams_own_counts() -> None:
    async with linked(patience=0.01) as far:
        with pytest.raises(TimeoutError), far.stream.having_timeout(None):
            await asyncio.to_thread(far.stream.read_frame)


@pytest.mark.parametrize(
    ("hostile", "said"),
    (
        (frame(b"payload", end=0xCD), "does not end where it should"),
        (HEAD.pack(1, 0, LARGEST), "no AMQP 0-9-1"),
        (HEAD.pack(1, 0, 0xFFFFFFFF), "no AMQP 0-9-1"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no AMQP 0-9-1"),
    ),
)
async def test_bytes_that_are_no_frame_are_an_error_for_whoever_looks(far: Far, hostile: bytes, said: str) -> None:
    far.stream.data_received(hostile)
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError, match=said):
            _ = far.stream.has_frame
        with pytest.raises(ConnectionAbortedError, match=said):
            far.stream.read_frame()


async def test_the_largest_frame_comes_and_what_nobody_reads_is_not_taken(far: Far) -> None:
    large = frame(bytes(LARGEST - HEAD.size - 1))
    assert len(large) == LARGEST
    flood = asyncio.create_task(far.says(large * 8))  # more than the kernel's buffers take
    await eventually(lambda: far.stream._paused)
    held = len(far.stream._bytes)
    await asyncio.sleep(0.05)
    assert MUCH < held == len(far.stream._bytes) < 2 * MUCH
    for _ in range(8):
        assert len((await in_thread(far.stream))[2]) == LARGEST - HEAD.size - 1
    await flood
    assert not far.stream._paused
    assert len(far.stream._bytes) < LITTLE


# ---- the end


async def test_what_came_before_the_end_is_still_read(far: Far) -> None:
    await far.says(frame(b"last words") + frame(b"half")[:-1])
    far.writer.close()
    await eventually(lambda: not far.stream.connected)
    assert far.stream.read_frame() == (1, 0, b"last words")
    assert far.stream.has_frame  # in that whoever reads does not wait
    with pytest.raises(ConnectionResetError, match="the broker has closed the connection"):
        far.stream.read_frame()


async def test_a_thread_that_waits_hears_of_the_end_and_of_the_first_reason_for_it(far: Far) -> None:
    waiting = asyncio.create_task(in_thread(far.stream))
    await asyncio.sleep(0.01)
    far.stream.abort("first")
    far.stream.abort("second")
    far.stream.close()
    with pytest.raises(ConnectionResetError, match="first"):
        await waiting
    with pytest.raises(ConnectionResetError, match="first"):
        far.stream.write(b"more")
    assert await far.reader.read() == b""


async def test_a_thread_ends_it_too(far: Far) -> None:
    await asyncio.to_thread(far.stream.abort, "by a thread")
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            assert await far.reader.read() == b""


async def test_one_that_is_over_before_it_is_made_is_left_at_once() -> None:
    listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with listening:
        stream = Stream(PATIENCE, lambda: None)
        assert not stream.connected
        stream.abort("closed")
        await asyncio.get_running_loop().create_connection(lambda: stream, *listening.sockets[0].getsockname()[:2])
        assert stream._transport is not None
        assert stream._transport.is_closing()


async def test_nothing_is_left_of_many(caplog: pytest.LogCaptureFixture) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.WARNING, "asyncio"):
        for _ in range(50):
            async with linked() as far:
                for _ in range(10):  # a transport complains when it is given more than some after its end
                    far.stream.write(b"x")
                far.stream.abort("closed")
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
    assert caplog.text == ""


# ---- writing


async def test_it_begins_by_saying_what_it_speaks(far: Far) -> None:
    far.stream.connect()
    await far.hears(HEADER)


async def test_the_first_of_a_turn_goes_at_once_and_the_rest_together_in_their_order(far: Far) -> None:
    for each in (b"1", b"2", b"3"):
        far.stream.write(each)
    assert far.stream._gathered == [b"2", b"3"]
    await far.hears(b"123")
    assert far.stream._gathered is None
    far.stream.write(b"4")
    await far.hears(b"4")


async def test_what_the_loop_and_then_a_thread_write_stays_in_order(far: Far) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 50):
            far.stream.write(b"%03d" % number)

    for first in range(0, 400, 100):
        write(first)
        await asyncio.to_thread(write, first + 50)
    await far.hears(b"".join(b"%03d" % number for number in range(400)))


async def test_what_is_written_is_copied_as_the_library_uses_its_memory_again(far: Far) -> None:
    memory = bytearray(b"first")
    far.stream.write(memoryview(memory))
    far.stream.write(memoryview(memory))
    memory[:] = b"other"
    await far.hears(b"firstfirst")


async def test_what_is_gathered_when_the_connection_ends_harms_nobody(
    far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    far.stream.write(b"1")
    far.stream.write(b"2")
    far.stream.abort("closed")
    await asyncio.sleep(0.01)
    assert not caplog.records
    with contextlib.suppress(ConnectionError):
        assert await far.reader.read() in (b"", b"1")


async def test_there_is_no_room_while_the_other_end_takes_nothing(far: Far) -> None:
    heard: list[bool] = []
    assert far.stream.has_room
    far.stream.write(b"x" * (8 << 20))
    assert not far.stream.has_room
    far.heeded.append(lambda: heard.append(far.stream.has_room))
    async with asyncio.timeout(PATIENCE):
        await far.reader.readexactly(8 << 20)
    await eventually(lambda: far.stream.has_room)
    await eventually(lambda: True in heard)


# ---- TLS


async def test_over_tls_there_is_room_after_what_the_kernel_took(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with linked(PATIENCE, *contexts) as far:
        for number in range(10):  # nothing comes back in between
            far.stream.write(b"%d" % number)
            assert far.stream.has_room
            await asyncio.sleep(0)
        await far.hears(b"0123456789")
        await far.says(frame(b"answer"))
        assert await in_thread(far.stream) == (1, 0, b"answer")


async def test_over_tls_nobody_is_called_in_the_midst_of_a_write(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    writing, calls = False, list[bool]()

    async with linked(PATIENCE, *contexts) as far:
        far.heeded.append(lambda: calls.append(writing))
        written = 0
        while far.stream.has_room or written < 1 << 20:
            writing = True
            far.stream.write(bytes(65536))
            writing = False
            written += 65536
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await far.reader.readexactly(written)
        await eventually(lambda: far.stream.has_room and bool(calls))
    assert True not in calls


async def test_over_tls_an_end_is_an_end(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with linked(PATIENCE, *contexts) as far:
        far.writer.close()
        with pytest.raises(ConnectionResetError):
            await in_thread(far.stream)
        assert not far.stream.connected


# ---- between threads and the loop


async def test_a_call_for_the_loop_comes_at_once_there_and_in_order_from_a_thread() -> None:
    loop, calls = asyncio.get_running_loop(), list[int]()
    on_loop(loop, lambda: calls.append(0))
    assert calls == [0]

    def say() -> None:
        for number in range(1, 100):
            on_loop(loop, partial(calls.append, number))

    await asyncio.to_thread(say)
    await asyncio.sleep(0)
    assert calls == list(range(100))


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    on_loop(loop, lambda: None)
