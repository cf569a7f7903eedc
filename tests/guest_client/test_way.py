"""Which way a request takes when no option names one, and what -v says of it."""

from __future__ import annotations

import os
import pty
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_guest import serial
from fencebus_guest.failures import NoAnswer
from fencebus_guest.settings import Settings
from fencebus_schemas.serialline import REQUEST_LENGTH, SerialRequest, pack_reply
from tests.guest_client.conftest import RunClient


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The host's end of a named channel that this guest has."""
    host, guest = pty.openpty()
    monkeypatch.setattr(serial, "NAMED_CHANNEL", os.ttyname(guest))
    yield host
    os.close(host)
    os.close(guest)


@pytest.fixture
def no_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A guest without a named channel."""
    monkeypatch.setattr(serial, "NAMED_CHANNEL", str(tmp_path / "no-such-port"))


@pytest.fixture
def forward() -> Iterator[tuple[str, ...]]:
    """QEMU's guestfwd, played by a TCP port that says ON once; the options that name it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if connection.recv(REQUEST_LENGTH):
                    connection.sendall(pack_reply(0))

        threading.Thread(target=serve, daemon=True).start()
        yield "-A", "127.0.0.1", "-p", str(server.getsockname()[1])


def answer(host: int) -> list[SerialRequest]:
    """Answer one request with OFF, in a thread; the request is in the list."""
    seen: list[SerialRequest] = []

    def serve() -> None:
        data = b""
        while len(data) < REQUEST_LENGTH:
            data += os.read(host, 100)
        seen.append(SerialRequest.unpack(data))
        os.write(host, pack_reply(2))

    threading.Thread(target=serve, daemon=True).start()
    return seen


def test_without_an_option_the_named_channel_is_asked_if_the_guest_has_it(run_client: RunClient, port: int) -> None:
    seen = answer(port)
    done = run_client("fence_virt", "-o", "status", "-n", "vm1", "-v", "-t", "5")
    assert (done.status, done.output) == (2, "Status: OFF\n")
    assert seen[0].domain == "vm1"
    assert "because this guest has it and no option names another way" in done.errors


def test_the_same_from_standard_input(run_client: RunClient, port: int) -> None:
    answer(port)
    assert run_client("fence_virt", stdin="action=status\nplug=vm1\ntimeout=5\n").status == 2


@pytest.mark.usefixtures("port")
def test_an_option_that_names_the_forwarded_address_means_that_and_no_other(
    run_client: RunClient, forward: tuple[str, ...]
) -> None:
    done = run_client("fence_virt", "-o", "status", "-n", "vm1", "--verbose", *forward)
    assert (done.status, done.output) == (0, "Status: ON\n")
    assert "because of -A or -p" in done.errors


@pytest.mark.usefixtures("no_port")
def test_without_a_named_channel_it_is_exactly_what_the_c_client_asks(run_client: RunClient) -> None:
    done = run_client("fence_virt", "-o", "monitor", "-v", "-t", "1")
    assert done.status == 255
    assert "10.0.2.179:1229, because no option names a way and this guest has no " in done.errors


def test_where_nobody_answers_and_no_option_names_a_way_the_ways_are_told(tcp_port: int) -> None:
    settings = Settings()
    settings.channel_address, settings.ipport = "127.0.0.1", tcp_port
    with pytest.raises(NoAnswer, match=r"-T ADDRESS .*-S 2 .*-D /dev/ttyS1"):
        serial.ask_channel(settings, 0)
    settings.channel_given = True
    with pytest.raises(NoAnswer, match="see that fence_virtd runs there"):
        serial.ask_channel(settings, 0)


@pytest.mark.parametrize(
    ("program", "options", "words"),
    (
        ("fence_xvm", (), "by multicast"),
        ("fence_virt", ("-T", "127.0.0.1", "-p", "9"), "asking 127.0.0.1, TCP port 9, because of -T"),
        ("fence_virt", ("-D", "/dev/no-such-line"), "asking on /dev/no-such-line, because of -D"),
    ),
)
def test_verbose_says_which_way_and_why(
    run_client: RunClient, key: str, program: str, options: tuple[str, ...], words: str
) -> None:
    multicast = ("-a", "225.0.0.77", "-r", "1") if program == "fence_xvm" else ()
    done = run_client(program, "-v", "-o", "status", "-n", "vm1", "-k", key, "-t", "1", *options, *multicast)
    assert done.status != 0
    assert words in done.errors


def test_without_verbose_nothing_is_said_of_the_way(run_client: RunClient, port: int) -> None:
    answer(port)
    assert run_client("fence_virt", "-o", "status", "-n", "vm1", "-t", "5").errors == ""
