"""Turns one line of JSON on a local socket into one line of answer: what the daemon is, for fence_virtctl.

Both lines carry the version of this protocol. Who may open the socket (root, by its mode) may ask everything; nothing
here changes anything, and no key is ever told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.config.model import DEFAULT_STATE_DIR
from fencebus_schemas.errors import FencebusError

log = logging.getLogger(__name__)

VERSION = 1
MAX_LINE = 1 << 20
RUN_FOLDER = Path("/run/fencebus")
SOCKET_NAME = "control.sock"
LONGEST_PATH = 107
"""Bytes of ``sun_path`` without its end."""
ANSWER_SECONDS = 5.0

Answers = Mapping[str, Callable[[], object]]
"""What can be asked for, and how the answer is made: anything that JSON can hold."""


class NoDaemon(FencebusError):
    """The daemon cannot be asked.  ``path`` is its socket, ``detail`` says what happened."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"fence_virtd does not answer at {self.path}: {self.detail}"


@dataclass(frozen=True, slots=True)
class PartState:
    """One listener or router of the running daemon; ``trouble`` is ``None`` while it works."""

    name: str
    trouble: str | None


def socket_path(state_dir: Path) -> Path:
    """Where a daemon with this state folder listens: two daemons have two folders, and so two sockets."""
    return (RUN_FOLDER if state_dir == DEFAULT_STATE_DIR else state_dir) / SOCKET_NAME


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

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)
            writer.write(reply_to(line, answers))
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            pass  # who sends too much, too slowly, or leaves gets nothing
        finally:
            writer.close()

    mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(talk, path, limit=MAX_LINE)
    finally:
        os.umask(mask)
    try:
        ready()
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        _remove(path)


def reply_to(line: bytes, answers: Answers) -> bytes:
    """The answer to one line, itself a line; a line that makes no sense is answered with an error."""
    try:
        asked = json.loads(line)
        version, name = (asked.get("version"), asked.get("ask")) if isinstance(asked, dict) else (None, None)
    except (ValueError, RecursionError):
        return _line({"error": {"code": "syntax", "text": "that is no JSON object in one line"}})
    if version != VERSION:
        return _line({"error": {"code": "version", "text": f"this daemon speaks version {VERSION}"}})
    if not isinstance(name, str) or name not in answers:
        return _line({"error": {"code": "unknown", "text": f"known: {', '.join(sorted(answers))}"}})
    return _line({name: answers[name]()})


def ask_daemon(path: Path, name: str, timeout: float = ANSWER_SECONDS) -> object:
    """What the running daemon says about ``name``.  Raises NoDaemon."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(_line({"ask": name}))
            answer = json.loads(_read_line(connection))
        except (OSError, ValueError) as error:
            raise NoDaemon(path, getattr(error, "strerror", None) or str(error) or "no answer") from None
    if not isinstance(answer, dict) or name not in answer:
        raise NoDaemon(path, f"it answered {str(answer)[:200]}")
    return answer[name]


def read_parts(told: object) -> tuple[PartState, ...]:
    """The parts in the answer to ``status``; what is no part in it is left out."""
    parts = told.get("parts") if isinstance(told, dict) else None
    rows = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return tuple(PartState(str(row.get("name")), row.get("trouble")) for row in rows)


def _read_line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) <= MAX_LINE:
        more = connection.recv(65536)
        if not more:
            break
        found += more
    return found


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps({"version": VERSION, **content}).encode() + b"\n"


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
