"""Answers HTTP requests for one page, and nothing else: what a scrape needs, without a web framework in the daemon."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"
HEAD_SECONDS = 5.0
"""How long a peer may take to send its request, and to take the answer."""
LONGEST_HEAD = 1 << 13
SEATS = 16
"""Connections at once: a daemon that fences has better uses for its descriptors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, but for its length."""

    status: str
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    with_body: bool = True

    def pack(self) -> bytes:
        """As it stands on the wire."""
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n"
        head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        return head.encode() + (self.body if self.with_body else b"")


def answer(head: bytes, page: Callable[[], bytes]) -> Answer:
    """The answer to a request's head; ``page`` is made only if it is asked for."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return Answer("400 Bad Request", b"no HTTP/1 request\n")
    if words[0] not in (b"GET", b"HEAD"):
        return Answer("405 Method Not Allowed", b"only GET\n")
    if words[1].split(b"?", 1)[0] != PATH.encode():
        return Answer("404 Not Found", f"the figures are at {PATH}\n".encode(), with_body=words[0] == b"GET")
    return Answer("200 OK", page(), CONTENT_TYPE, with_body=words[0] == b"GET")


async def serve(address: str, port: int, page: Callable[[], bytes], ready: Callable[[], None]) -> None:
    """Serve until cancelled; raises OSError if the port cannot be had."""
    talking: set[asyncio.Task[None]] = set()

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(talking) >= SEATS:
            writer.transport.abort()
            return
        task = asyncio.create_task(_talk(reader, writer, page), name="metrics")
        talking.add(task)
        task.add_done_callback(talking.discard)

    server = await asyncio.start_server(greet, address, port, limit=LONGEST_HEAD)
    try:
        ready()
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        for task in talking:
            task.cancel()
        if talking:
            await asyncio.wait(talking)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, page: Callable[[], bytes]) -> None:
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(head, page).pack())
            await writer.drain()
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        pass  # who sends too much, too slowly, or leaves gets nothing
    except Exception:  # the root of this task: a defect in a figure must not be lost in silence
        log.exception("metrics: a defect while answering")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
