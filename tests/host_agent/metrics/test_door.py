"""The door for monitoring: one page over HTTP, whatever else is asked or sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fencebus_host.metrics import door
from tests.ports import free_tcp_port

PAGE = b"fencebus_paused 0.0\n"


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    port, ready = free_tcp_port(), asyncio.Event()
    task = asyncio.create_task(door.serve("127.0.0.1", port, lambda: PAGE, ready.set))
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.wait({task})


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionResetError:  # what nobody read was thrown away with the connection
        return b""
    finally:
        writer.close()


async def test_a_scrape_gets_the_figures_with_their_length_and_kind() -> None:
    async with served() as port:
        told = await asked(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert (body, b"Content-Length: 20" in head) == (PAGE, True)


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    (
        (b"GET /metrics?x=1 HTTP/1.0", 200, PAGE),
        (b"HEAD /metrics HTTP/1.1", 200, b""),
        (b"GET / HTTP/1.1", 404, b"the figures are at /metrics\n"),
        (b"POST /metrics HTTP/1.1", 405, b"only GET\n"),
        (b"GET /metrics", 400, b"no HTTP/1 request\n"),
        (b"\x16\x03\x01", 400, b"no HTTP/1 request\n"),
    ),
)
def test_anything_else_is_answered_with_why_not(request_line: bytes, status: int, body: bytes) -> None:
    found = door.answer(request_line + b"\r\nHost: x\r\n\r\n", lambda: PAGE)
    assert int(re.findall(r"^\d+", found.status)[0]) == status
    assert found.pack().partition(b"\r\n\r\n")[2] == body


async def test_who_sends_too_much_gets_nothing_and_the_next_one_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as port:
        assert await asked(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (door.LONGEST_HEAD * 2) + b"\r\n\r\n") == b""
        assert PAGE in await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        monkeypatch.setattr(door, "HEAD_SECONDS", 0.05)
        assert await asked(port, b"GET /metr") == b""


async def test_only_so_many_are_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SEATS", 0)
    async with served() as port:
        assert await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n") == b""


async def test_a_defect_in_a_figure_is_logged_and_the_door_stays_open(caplog: pytest.LogCaptureFixture) -> None:
    pages = iter([PAGE])
    port, ready = free_tcp_port(), asyncio.Event()

    def page() -> bytes:
        if "metrics: a defect" not in caplog.text:
            raise KeyError("state")
        return next(pages)

    task = asyncio.create_task(door.serve("127.0.0.1", port, page, ready.set))
    await asyncio.wait_for(ready.wait(), 30)
    assert await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    assert PAGE in await asked(port, b"GET /metrics HTTP/1.1\r\n\r\n")
    task.cancel()
    await asyncio.wait({task})
