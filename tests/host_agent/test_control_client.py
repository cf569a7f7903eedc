"""Asking the daemon over its socket: Ctrl-C ends whoever follows, and what is no answer is named."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host.control_client import NoDaemon, ask_daemon, follow_daemon, line_of


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """In the daemon's place."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "control.sock"))
        server.listen()
        yield server


def says(listening: socket.socket, *chunks: bytes) -> None:
    """Answer the next question with these, then hang up."""

    def serve() -> None:
        connection = listening.accept()[0]
        with connection:
            connection.recv(4096)
            for chunk in chunks:
                connection.sendall(chunk)

    threading.Thread(target=serve, daemon=True).start()


def test_ctrl_c_ends_a_wait_that_it_did_not_interrupt(listening: socket.socket, tmp_path: Path) -> None:
    # The handler's flag is set, and nobody wakes the thread that waits: so it is when the signal comes just before.
    def unheard() -> None:
        with listening.accept()[0] as connection:
            connection.recv(4096)
            ended.wait(0.2)  # by now it waits for the answer
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            ended.wait(30)

    ended = threading.Event()
    other = threading.Thread(target=unheard)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        next(follow_daemon(tmp_path / "control.sock", "events"))
    was_in_time = other.is_alive()
    ended.set()
    other.join()
    assert was_in_time


def test_answers_are_whole_lines_however_they_arrive(listening: socket.socket, tmp_path: Path) -> None:
    told = line_of({"events": "first"}) + line_of({"events": "sécond"}) + line_of({"events": "third"})
    says(listening, told[:5], told[5:40], told[40:-3], told[-3:])
    assert list(follow_daemon(tmp_path / "control.sock", "events")) == ["first", "sécond", "third"]


@pytest.mark.parametrize("told", (b"", b'{"version": 1, "sta', b"rubbish\n", b"[]\n", b'{"version": 1}\n'))
def test_what_is_no_answer_is_a_daemon_that_cannot_be_asked(
    listening: socket.socket, tmp_path: Path, told: bytes
) -> None:
    says(listening, told)
    with pytest.raises(NoDaemon):
        ask_daemon(tmp_path / "control.sock", "status")


def test_a_daemon_that_says_nothing_is_given_up(listening: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match="timed out"):
        ask_daemon(tmp_path / "control.sock", "status", timeout=0.2)
    assert listening.fileno() >= 0
