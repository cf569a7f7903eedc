"""Turns a question to the running daemon into its answer, over the control socket.

Imports little: whoever types a command waits for it.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.state_folder import DEFAULT_STATE_DIR
from fencebus_schemas.errors import FencebusError

VERSION = 1
RUN_FOLDER = Path("/run/fencebus")
SOCKET_NAME = "control.sock"
ANSWER_SECONDS = 5.0
LOOK_UP_SECONDS = 0.5
"""A signal that comes in the moment before a wait does not end it, and Ctrl-C is to end what follows events."""
LONGEST_ANSWER = 1 << 28
"""Bytes: a hundred thousand VMs, and some room."""
NO_ANSWER = ("syntax", "version", "unknown")
"""Errors that say that the daemon is another one than was thought."""
ADVICE = {
    errno.ENOENT: "is it running? (systemctl status fence_virtd; with another state_dir: -f its configuration)",
    errno.ECONNREFUSED: "it has ended without an order: systemctl status fence_virtd",
    errno.EACCES: "only root may ask it: sudo fence_virtctl ...",
}


class NoDaemon(FencebusError):
    """The daemon cannot be asked.  ``path`` is its socket, ``detail`` says what happened, ``advice`` what to do.

    ``reason`` is the system's number for the error, 0 for what is none of its.
    """

    def __init__(self, path: Path, detail: str, reason: int = 0) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail
        self.reason = reason
        self.advice = ADVICE.get(reason, "")

    @property
    def is_gone(self) -> bool:
        """Whether no daemon is there; else there is one that cannot be asked, or perhaps one."""
        return self.reason in (errno.ENOENT, errno.ECONNREFUSED)

    def __str__(self) -> str:
        told = f"fence_virtd does not answer at {self.path}: {self.detail}"
        return f"{told}; {self.advice}" if self.advice else told


class Declined(FencebusError):
    """The daemon answers that it will not or cannot.  ``code`` is stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.text} [{self.code}]"


@dataclass(frozen=True, slots=True)
class PartState:
    """One listener or router of the running daemon; ``trouble`` is ``None`` while it works."""

    name: str
    trouble: str | None


def socket_path(state_dir: Path) -> Path:
    """Where a daemon with this state folder listens: two daemons have two folders, and so two sockets."""
    return (RUN_FOLDER if state_dir == DEFAULT_STATE_DIR else state_dir) / SOCKET_NAME


def ask_daemon(
    path: Path, name: str, about: Mapping[str, object] | None = None, timeout: float = ANSWER_SECONDS
) -> object:
    """What the running daemon says about ``name``; ``about`` is what the question holds besides.

    Raises NoDaemon, and Declined where it answers with an error of its own.
    """
    with _asked(path, name, about or {}) as connection:
        connection.settimeout(timeout)
        answers = _lines(connection, patient=False)
        return _answer(path, name, next(answers, None))


def follow_daemon(path: Path, name: str, about: Mapping[str, object] | None = None) -> Generator[object, None, None]:
    """Each answer as it comes, until the daemon ends.  Raises as ``ask_daemon``."""
    with _asked(path, name, about or {}) as connection:
        connection.settimeout(LOOK_UP_SECONDS)
        for answer in _lines(connection, patient=True):
            yield _answer(path, name, answer)


def read_pause(told: object) -> str:
    """Why every power action is refused, from the answer to ``status``; empty if none is."""
    found = told.get("problems") if isinstance(told, dict) else None
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return next((str(row.get("text")) for row in rows if row.get("code") == "paused"), "")


def read_parts(told: object) -> tuple[PartState, ...]:
    """The parts in the answer to ``status``; what is no part in it is left out."""
    parts = told.get("parts") if isinstance(told, dict) else None
    rows = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return tuple(PartState(str(row.get("name")), row.get("trouble")) for row in rows)


def line_of(content: Mapping[str, object]) -> bytes:
    """A line of this protocol."""
    return json.dumps({"version": VERSION, **content}).encode() + b"\n"


@contextmanager
def _asked(path: Path, name: str, about: Mapping[str, object]) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(line_of({"ask": name, **about}))
            yield connection
        except (OSError, ValueError) as error:
            reason = (error.errno or 0) if isinstance(error, OSError) else 0
            raise NoDaemon(path, getattr(error, "strerror", None) or str(error) or "no answer", reason) from None


def _lines(connection: socket.socket, *, patient: bool) -> Iterator[object]:
    rest = bytearray()
    while data := _received(connection, patient=patient):
        rest += data
        if len(rest) > LONGEST_ANSWER:
            raise ValueError("its answer has no end")
        if b"\n" in data:
            *whole, last = rest.split(b"\n")
            rest = last
            yield from map(json.loads, whole)


def _received(connection: socket.socket, *, patient: bool) -> bytes:
    while True:
        try:
            return connection.recv(1 << 18)
        except TimeoutError:
            if not patient:
                raise


def _answer(path: Path, name: str, answer: object) -> object:
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict) and error.get("code") not in NO_ANSWER:
        raise Declined(str(error.get("code")), str(error.get("text")))
    if answer is None:
        raise NoDaemon(path, "no answer")
    if not isinstance(answer, dict) or name not in answer:
        raise NoDaemon(path, f"it answered {str(answer)[:200]}")
    return answer[name]
