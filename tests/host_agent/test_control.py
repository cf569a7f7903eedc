"""The control socket: one line of JSON asked, one answered, nothing changed, and nobody else's socket taken."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.model import DEFAULT_STATE_DIR
from fencebus_host.control import (
    MAX_LINE,
    VERSION,
    Answers,
    NoDaemon,
    PartState,
    ask_daemon,
    read_parts,
    reply_to,
    serve_control,
    socket_path,
)

ANSWERS: Answers = {"status": lambda: {"parts": [{"name": "a", "trouble": None}]}, "config": lambda: "text"}


def asked(**content: object) -> dict[str, object]:
    reply = reply_to(json.dumps(content).encode(), ANSWERS)
    assert reply.endswith(b"\n")
    found = json.loads(reply)
    assert found.pop("version") == VERSION
    assert isinstance(found, dict)
    return found


def test_a_question_of_this_version_is_answered_under_its_own_name() -> None:
    assert asked(version=1, ask="config") == {"config": "text"}


@pytest.mark.parametrize(
    ("content", "code"),
    (
        ({"version": 2, "ask": "config"}, "version"),
        ({"ask": "config"}, "version"),
        ({"version": 1, "ask": "keys"}, "unknown"),
        ({"version": 1, "ask": ["config"]}, "unknown"),
    ),
)
def test_a_question_that_cannot_be_answered_is_told_why(content: dict[str, object], code: str) -> None:
    error = asked(**content)["error"]
    assert isinstance(error, dict)
    assert error["code"] == code


@given(st.binary(max_size=60) | st.just(b"[" * 100000))
def test_whatever_comes_is_answered_with_one_line_of_json(line: bytes) -> None:
    assert json.loads(reply_to(line, ANSWERS))["error"]["code"] in ("syntax", "version", "unknown")


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(serve_control(path, ANSWERS, ready.set))
    await ready.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_program_asks_over_the_socket_that_only_its_owner_may_open(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    async with serving(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert await asyncio.to_thread(ask_daemon, path, "config") == "text"
        with pytest.raises(NoDaemon, match="unknown"):
            await asyncio.to_thread(ask_daemon, path, "secrets")
    assert not path.exists()


async def test_who_sends_too_much_gets_nothing_and_others_are_served(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (MAX_LINE + 10))
        assert await reader.read() == b""
        writer.close()
        assert await asyncio.to_thread(ask_daemon, path, "config") == "text"


async def test_what_a_killed_daemon_left_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(path):
        with pytest.raises(OSError, match="another daemon answers"):
            await serve_control(path, ANSWERS, lambda: None)
        assert await asyncio.to_thread(ask_daemon, path, "config") == "text"


async def test_a_path_that_no_socket_can_have_is_told_once_and_the_daemon_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = asyncio.create_task(serve_control(tmp_path / ("x" * 120), ANSWERS, lambda: None))
    await asyncio.sleep(0.01)
    assert not task.done()
    assert [record.getMessage() for record in caplog.records if "no control socket" in record.getMessage()]
    task.cancel()
    await asyncio.wait({task})


def test_without_a_daemon_the_error_names_the_socket_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match=r"/none: No such file"):
        ask_daemon(tmp_path / "none", "status")


@pytest.mark.parametrize("answer", (b"", b"no json\n", b"[]\n", b'{"version": 1}\n'))
def test_an_answer_that_makes_no_sense_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=answer_once, args=(server, answer))
        thread.start()
        with pytest.raises(NoDaemon):
            ask_daemon(path, "status")
        thread.join()


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def test_the_usual_state_folder_has_the_usual_socket_and_another_one_its_own() -> None:
    assert socket_path(DEFAULT_STATE_DIR) == Path("/run/fencebus/control.sock")
    assert socket_path(Path("/s")) == Path("/s/control.sock")


def test_parts_are_read_from_what_a_daemon_said_and_from_nothing_else() -> None:
    told: object = {"parts": [{"name": "listener tcp", "trouble": "in use"}, {"name": "router", "trouble": None}, 3]}
    assert read_parts(told) == (PartState("listener tcp", "in use"), PartState("router", None))
    rubbish: tuple[object, ...] = (None, [], {"parts": 1})
    for told in rubbish:
        assert read_parts(told) == ()
