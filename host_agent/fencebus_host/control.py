"""Turns one line of JSON on a local socket into lines of answer, for fence_virtctl.

All lines carry the version of this protocol.  Who may open the socket (root, by its mode) may ask everything; no key is
ever told.  What is asked once is answered with one line; what is followed, with a line for each thing that happens.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fencebus_host.control_client import (
    ANSWER_SECONDS,
    VERSION,
    Declined,
    NoDaemon,
    PartState,
    ask_daemon,
    line_of,
    read_parts,
    socket_path,
)

__all__ = [
    "VERSION",
    "Answers",
    "Declined",
    "NoDaemon",
    "PartState",
    "Question",
    "ask_daemon",
    "read_parts",
    "socket_path",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_LINE = 1 << 20
LONGEST_PATH = 107
"""Bytes of ``sun_path`` without its end."""
GREETING_STEPS = 4
"""Of the loop, after which whoever was let in before the end has been greeted: only what was greeted is closed."""
NO_LOGIN = (1 << 32) - 1
"""What the kernel says of a process that nobody's login has led to."""
WRITE_SECONDS = 30.0
"""Whoever does not read an answer within this time gets no more of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One line that was asked; the methods read what it holds besides the name, strictly."""

    name: str
    about: Mapping[str, object] = field(default_factory=dict)
    by: str = ""
    """The process that asks, for logs: ``uid 0, logged in as uid 1000, process 17``."""

    def text(self, name: str, default: str | None = None) -> str:
        """A text.  Raises Declined if it is none, or missing and without a default."""
        return self._read(name, str, default)

    def flag(self, name: str) -> bool:
        """True or false; false if it is missing."""
        return self._read(name, bool, False)

    def number(self, name: str, default: float | None = None) -> float | None:
        """A number that is not negative, or the default."""
        found = self.about.get(name, default)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e12:
            raise Declined("question", f"{name}: a number expected")
        return float(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty if it is missing."""
        found = self.about.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise Declined("question", f"{name}: a list of texts expected")
        return tuple(found)

    def _read(self, name: str, kind: type[T], default: T | None) -> T:
        found = self.about.get(name, default)
        if not isinstance(found, kind):
            raise Declined("question", f"{name}: {kind.__name__} expected")
        return found


Once = Callable[[Question], Awaitable[object]]
"""Makes one answer: anything that JSON can hold.  May raise Declined."""
Stream = Callable[[Question], AsyncIterator[object]]
"""Makes an answer for each thing that happens, until nobody reads any more."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What can be asked for, and how it is answered."""

    once: Mapping[str, Once]
    streams: Mapping[str, Stream] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What can be asked for."""
        return tuple(sorted({*self.once, *self.streams}))


async def serve_control(path: Path, answers: Answers, ready: Callable[[], None]) -> None:
    """Answer until cancelled.  Raises OSError if the socket cannot be made, or another daemon is behind it.

    What no further attempt can heal (no right to make it, a path that no socket can have) is logged once: a daemon
    fences without this socket too.
    """
    try:
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise PermissionError(0, "no socket can have so long a path")
        await _serve(path, answers, ready)
    except PermissionError as error:
        log.warning("no control socket at %s: %s; fence_virtctl cannot ask this daemon", path, error.strerror)
        await asyncio.get_running_loop().create_future()


async def _serve(path: Path, answers: Answers, ready: Callable[[], None]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _clear(path)
    talking: set[asyncio.Task[None]] = set()

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_talk(reader, writer, answers), name="control")
        talking.add(task)
        task.add_done_callback(talking.discard)

    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(greet, path, limit=MAX_LINE)
    finally:
        os.umask(mask)
    try:
        ready()
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        _remove(path)
        for _ in range(GREETING_STEPS):
            await asyncio.sleep(0)
        for task in talking:
            task.cancel()
        if talking:
            await asyncio.wait(talking)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: Answers) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await reader.readline()
        question = read_question(line, answers, _peer(writer))
        if isinstance(question, bytes):
            await _write(writer, question)
        elif question.name in answers.streams:
            await _pass_on(reader, writer, question, answers.streams[question.name])
        else:
            await _write(writer, await _answered(question, answers.once[question.name]))
    except (OSError, ValueError, TimeoutError):
        pass  # who sends too much, too slowly, or leaves gets nothing
    except asyncio.CancelledError:
        writer.transport.abort()  # the daemon ends: it waits for nobody who does not read
        raise
    except Exception:  # the root of this task: a defect in an answer must not be lost in silence
        log.exception("control socket: a defect while answering")
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(WRITE_SECONDS):
                await writer.wait_closed()


def read_question(line: bytes, answers: Answers, by: str = "") -> Question | bytes:
    """The question in one line; or the answer, itself a line, to one that makes no sense."""
    try:
        asked = json.loads(line)
        version, name = (asked.get("version"), asked.get("ask")) if isinstance(asked, dict) else (None, None)
    except (ValueError, RecursionError):
        return _error("syntax", "that is no JSON object in one line")
    if version != VERSION:
        return _error("version", f"this daemon speaks version {VERSION}")
    if not isinstance(name, str) or name not in answers.names:
        return _error("unknown", f"known: {', '.join(answers.names)}")
    return Question(name, asked, by)


async def _answered(question: Question, answer: Once) -> bytes:
    try:
        told = await answer(question)
        return await asyncio.to_thread(line_of, {question.name: told})
    except Declined as declined:
        return _error(declined.code, declined.text)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: Question, stream: Stream
) -> None:
    """Write each thing that happens, until the other side leaves."""
    writing = asyncio.create_task(_write_all(writer, question, stream))
    leaving = asyncio.create_task(reader.read())
    try:
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (writing, leaving):
            task.cancel()
        results = await asyncio.gather(writing, leaving, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


async def _write_all(writer: asyncio.StreamWriter, question: Question, stream: Stream) -> None:
    try:
        async for answer in stream(question):
            await _write(writer, line_of({question.name: answer}))
    except Declined as declined:
        await _write(writer, _error(declined.code, declined.text))


async def _write(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(WRITE_SECONDS):  # wait_for of Python 3.11 swallows a cancellation now and then
        await writer.drain()


def _error(code: str, text: str) -> bytes:
    return line_of({"error": {"code": code, "text": text}})


def _peer(writer: asyncio.StreamWriter) -> str:
    """Who is at the other end, by the kernel's word."""
    connection = writer.get_extra_info("socket")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return f"uid {uid}{_logged_in(pid, uid)}, process {pid}"


def _logged_in(pid: int, uid: int) -> str:
    """Who logged in, where that is another than the process is now: whoever used sudo, by the kernel's audit."""
    try:
        login = int(Path(f"/proc/{pid}/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ""
    return "" if login in (uid, NO_LOGIN) else f", logged in as uid {login}"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove what a daemon that was killed left behind; leave one alone that lives."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            _remove(path)
            return
    raise OSError(0, f"another daemon answers at {path}")
