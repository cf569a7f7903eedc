"""The control socket: one line of JSON asked, one answered, nothing changed, and nobody else's socket taken."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.control import (
    MAX_LINE,
    VERSION,
    Answers,
    Declined,
    NoDaemon,
    PartState,
    Question,
    ask_daemon,
    read_parts,
    read_question,
    serve_control,
    socket_path,
)
from fencebus_host.control_client import follow_daemon
from fencebus_host.state_folder import DEFAULT_STATE_DIR


async def config(_question: Question) -> object:
    return "text"


async def echo(question: Question) -> object:
    """What a question may hold, as it is read."""
    most, names = question.number("most", 7), question.texts("names")
    return [question.text("vm"), question.text("why", "-"), question.flag("all"), most, *names]


async def who(question: Question) -> object:
    return question.by


async def broken(_question: Question) -> object:
    raise ZeroDivisionError


async def count(question: Question) -> AsyncIterator[object]:
    """Numbers, the first of which must be asked for."""
    number = question.number("from")
    if number is None:
        raise Declined("question", "from: a number expected")
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)


async def flood(_question: Question) -> AsyncIterator[object]:
    while True:
        yield "x" * 10_000


ANSWERS = Answers({"config": config, "echo": echo, "who": who, "broken": broken}, {"count": count, "flood": flood})


def asked(**content: object) -> dict[str, object]:
    reply = read_question(json.dumps(content).encode(), ANSWERS)
    assert isinstance(reply, bytes)
    assert reply.endswith(b"\n")
    found = json.loads(reply)
    assert found.pop("version") == VERSION
    assert isinstance(found, dict)
    return found


def test_a_question_of_this_version_is_taken_with_what_it_holds() -> None:
    line = json.dumps({"version": 1, "ask": "echo", "vm": "vm7"}).encode()
    question = read_question(line, ANSWERS, "uid 0")
    assert isinstance(question, Question)
    assert (question.name, question.text("vm"), question.by) == ("echo", "vm7", "uid 0")


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
    reply = read_question(line, ANSWERS)
    assert isinstance(reply, bytes)
    assert json.loads(reply)["error"]["code"] in ("syntax", "version", "unknown")


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


async def test_a_question_holds_what_its_answer_is_about_and_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        assert await ask(path, "echo", vm="a", names=["x"]) == ["a", "-", False, 7, "x"]
        assert await ask(path, "echo", vm="a", all=True, most=2, why="b") == ["a", "b", True, 2]
        wrong: tuple[dict[str, object], ...] = (
            {},
            {"vm": 7},
            {"vm": "a", "all": 1},
            {"vm": "a", "most": "x"},
            {"vm": "a", "most": -1},
            {"vm": "a", "names": "x"},
        )
        for about in wrong:
            with pytest.raises(Declined) as declined:
                await ask(path, "echo", **about)
            assert declined.value.code == "question"
            assert "expected" in str(declined.value)


async def ask(path: Path, name: str, **about: object) -> object:
    return await asyncio.to_thread(ask_daemon, path, name, about, 30)


async def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        assert await ask(tmp_path / "s", "who") == f"uid {os.getuid()}, process {os.getpid()}"


async def test_a_stream_goes_on_until_its_reader_leaves(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        stream = follow_daemon(path, "count", {"from": 5})
        assert await asyncio.to_thread(lambda: [next(stream) for _ in range(3)]) == [5, 6, 7]
        await asyncio.to_thread(stream.close)
        with pytest.raises(Declined):
            await asyncio.to_thread(next, follow_daemon(path, "count"))
        assert await ask(path, "config") == "text"


async def test_a_defect_in_an_answer_is_logged_and_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s"
    async with serving(path):
        with pytest.raises(NoDaemon, match="no answer"):
            await ask(path, "broken")
        assert "a defect while answering" in caplog.text
        assert await ask(path, "config") == "text"


async def test_a_daemon_that_ends_lets_go_of_those_that_follow_also_of_one_that_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(path):
        reading, idle = follow_daemon(path, "count", {"from": 0}), follow_daemon(path, "flood")
        await asyncio.to_thread(next, reading)
        await asyncio.to_thread(next, idle)
        await asyncio.sleep(0.1)  # so that all buffers on the way to the idle one are full
    await asyncio.to_thread(to_its_end, reading)
    await asyncio.to_thread(to_its_end, idle)


def to_its_end(stream: Iterator[object]) -> None:
    """Read until the daemon has let go, in the middle of a line perhaps."""
    with suppress(NoDaemon):
        for _ in stream:
            pass


def test_who_may_not_ask_is_told_what_to_do() -> None:
    assert "sudo" in str(NoDaemon(Path("/s"), "Permission denied", errno.EACCES))


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
