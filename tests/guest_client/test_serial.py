"""Asking over a serial line, a device that is no terminal, and a VM channel."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fencebus_guest.answers import ask_on_line, repeated_for
from fencebus_guest.failures import LineFailure, NoAnswer
from fencebus_guest.line import Line
from fencebus_guest.patience import Patience
from fencebus_guest.terminal import hang_up, set_raw
from fencebus_schemas import serialline, xvm
from tests.elapsed import Stopwatch
from tests.guest_client.conftest import RunClient

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
RECORDS = [xvm.ListRecord("test", UUID, 1)]
REQUEST = serialline.SerialRequest(xvm.ACTION_STATUS, "vm1", 7)


@contextmanager
def host_end(fd: int, answer: bytes) -> Iterator[list[serialline.SerialRequest]]:
    """Answer the first request that comes out of `fd`; the requests are in the list."""
    requests: list[serialline.SerialRequest] = []

    def serve() -> None:
        reader = serialline.RequestReader()
        patience = Patience(10)
        while not requests:
            requests.extend(reader.feed(Line(fd).receive(100, patience)))
        os.write(fd, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield requests
    finally:
        thread.join(30)


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A pseudo terminal: the host's descriptor and the guest's device."""
    host, guest = pty.openpty()
    try:
        yield host, os.ttyname(guest)
    finally:
        os.close(host)
        os.close(guest)


@pytest.mark.parametrize(
    ("action", "answer", "status", "output"),
    (
        ("off", serialline.pack_reply(0), 0, ""),
        ("status", b"login: ab" + serialline.pack_reply(2), 2, "Status: OFF\n"),
        ("list", serialline.pack_list_reply(RECORDS), 0, f"{'test':<32} {UUID} on\n"),
    ),
)
def test_a_request_over_a_terminal_is_answered(
    run_client: RunClient, terminal: tuple[int, str], action: str, answer: bytes, status: int, output: str
) -> None:
    host, device = terminal
    with host_end(host, answer) as requests:
        done = run_client("fence_virt", "-D", device, "-P", "9600,7E2", "-n", "vm1", "-o", action)
    assert (done.status, done.output) == (status, output)
    assert requests[0].domain == "vm1"


def test_a_silent_line_is_internal_failure_255_within_the_timeout(
    run_client: RunClient, terminal: tuple[int, str]
) -> None:
    watch = Stopwatch()
    done = run_client("fence_virt", "-D", terminal[1], "-n", "vm1", "-o", "off", "-t", "1")
    assert watch.undisturbed < 2
    assert done.status == 255
    assert done.errors.startswith("Unknown response (-1)\nfence_virt: no answer on /dev/pts/")


def test_a_device_in_use_is_not_shared(run_client: RunClient, tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.touch()
    ready, release = socket.socketpair()
    with ready, release:
        child = os.fork()
        if child == 0:
            with device.open("r+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)
                release.send(b"locked")
                release.recv(1)
                os._exit(0)
        ready.recv(10)
        done = run_client("fence_virt", "-D", str(device), "-n", "vm1", "-o", "off")
        ready.send(b"x")
        os.waitpid(child, 0)
    assert done.status == 255
    assert "is in use" in done.errors


def test_a_missing_device_is_internal_failure_255(run_client: RunClient) -> None:
    done = run_client("fence_virt", "-D", "/dev/nosuch", "-n", "vm1", "-o", "off")
    assert done.status == 255
    assert "cannot open /dev/nosuch: No such file" in done.errors


def test_a_device_that_is_no_terminal_is_used_as_it_is(run_client: RunClient) -> None:
    # /dev/null takes everything and reads as a virtio port does whose host side is not connected.
    watch = Stopwatch()
    done = run_client("fence_virt", "-D", "/dev/null", "-n", "vm1", "-o", "off", "-t", "1")
    assert done.status == 255
    assert watch.seconds > 0.9
    assert watch.undisturbed < 2


def test_a_virtio_port_is_asked_without_terminal_settings() -> None:
    guest, host = socket.socketpair()
    with guest, host, host_end(host.fileno(), serialline.pack_reply(2)) as requests:
        guest.setblocking(False)
        answer = ask_on_line(Line(guest.fileno(), ends=False), REQUEST, 5)
    assert (answer.code, requests) == (2, [REQUEST])


def test_a_list_that_breaks_off_on_a_line_is_a_failure() -> None:
    guest, host = socket.socketpair()
    with guest, host:
        host.sendall(serialline.pack_list_reply(RECORDS)[:200])
        host.shutdown(socket.SHUT_WR)
        with pytest.raises(NoAnswer) as caught:
            ask_on_line(Line(guest.fileno()), REQUEST, 1)
    assert caught.value.status == 255


@pytest.mark.parametrize("ends", (True, False))
def test_a_request_that_was_thrown_away_is_said_again_and_answered(ends: bool) -> None:
    """As QEMU does with what is written on a serial port while no daemon is connected."""
    guest, host = socket.socketpair()
    with guest, host:
        guest.setblocking(False)
        later = threading.Thread(target=throw_away_one_and_answer, args=(host,))
        later.start()
        answer = ask_on_line(Line(guest.fileno(), ends=ends), REQUEST, 5)
        later.join()
    assert answer.code == 2


def throw_away_one_and_answer(host: socket.socket) -> None:
    """The host's end of a line that has a daemon only for the second time that the request is said."""
    first, again = (host.recv(serialline.REQUEST_LENGTH) for _ in range(2))
    host.sendall(serialline.pack_reply(2) if first == again == REQUEST.pack() else b"")


def test_what_changes_something_is_said_again_only_while_that_cannot_do_it_late_or_twice() -> None:
    for action in (xvm.ACTION_STATUS, xvm.ACTION_LIST, xvm.ACTION_MONITOR):
        assert repeated_for(action, 30) == 30
    assert repeated_for(xvm.ACTION_OFF, 30) == 5
    assert repeated_for(xvm.ACTION_OFF, 25) == 0
    for action in (xvm.ACTION_REBOOT, xvm.ACTION_ON):
        assert repeated_for(action, 1000) == 0


@pytest.mark.parametrize(("action", "times"), ((xvm.ACTION_STATUS, 3), (xvm.ACTION_OFF, 1), (xvm.ACTION_REBOOT, 1)))
def test_a_line_on_which_nobody_answers_is_given_up_in_time(action: int, times: int) -> None:
    guest, host = socket.socketpair()
    with guest, host:
        watch = Stopwatch()
        with pytest.raises(LineFailure, match="in time"):
            ask_on_line(Line(guest.fileno()), serialline.SerialRequest(action, "vm1", 7), 2.5)
        assert watch.seconds > 2.4
        assert watch.undisturbed < 3.5
        assert len(host.recv(65536)) == times * serialline.REQUEST_LENGTH


def test_a_line_full_of_noise_is_given_up_in_time_too() -> None:
    guest, host = socket.socketpair()
    with guest, host:
        stop = threading.Event()

        def shout() -> None:
            while not stop.is_set():
                host.send(b"login: ")

        shouting = threading.Thread(target=shout)
        shouting.start()
        try:
            with pytest.raises(LineFailure, match="no reply came in time"):
                ask_on_line(Line(guest.fileno()), REQUEST, 0.5)
        finally:
            stop.set()
            guest.setblocking(False)
            while shouting.is_alive():
                with suppress(BlockingIOError):
                    guest.recv(65536)
        shouting.join()


def test_a_list_that_is_on_its_way_is_not_asked_for_again() -> None:
    guest, host = socket.socketpair()
    with guest, host:
        whole = serialline.pack_list_reply(RECORDS)
        host.sendall(whole[:100])
        later = threading.Timer(1.5, host.sendall, (whole[100:],))
        later.start()
        assert ask_on_line(Line(guest.fileno()), REQUEST, 5).records == tuple(RECORDS)
        later.join()
        assert len(host.recv(65536)) == serialline.REQUEST_LENGTH


def test_a_host_that_takes_nothing_is_waited_for_no_longer_than_the_patience() -> None:
    for ends in (True, False):
        guest, host = socket.socketpair()
        with guest, host:
            guest.setblocking(False)
            with pytest.raises(LineFailure, match="does not take"):
                Line(guest.fileno(), ends=ends).send(bytes(10_000_000), Patience(0.2))


def test_a_broken_descriptor_is_a_line_failure() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(LineFailure):
            Line(reader).send(b"x", Patience(0.1))
        os.close(reader)
        with pytest.raises(LineFailure, match="Broken pipe"):
            Line(writer).send(b"x", Patience(0.1))
    finally:
        os.close(writer)
    with open(os.devnull, "wb") as null, pytest.raises(LineFailure):
        Line(null.fileno()).receive(1, Patience(0.1))


def test_the_line_is_raw_at_the_given_speed_and_frame(terminal: tuple[int, str]) -> None:
    fd = os.open(terminal[1], os.O_RDWR | os.O_NOCTTY)
    try:
        set_raw(fd, 19200, "7O2")
        _, output, control, local, speed, _, _ = termios.tcgetattr(fd)
        assert (output, local, speed) == (0, 0, termios.B19200)
        assert control & termios.CSTOPB
        hang_up(fd)
    finally:
        os.close(fd)
    with pytest.raises(OSError, match="Inappropriate"), open(os.devnull, "wb") as null:
        set_raw(null.fileno(), 9600, "8N1")


def test_a_vm_channel_is_a_tcp_connection_with_the_serial_protocol(run_client: RunClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        arguments = ["-A", "127.0.0.1", "-p", port, "-n", "vm1"]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, host_end(connection.fileno(), serialline.pack_reply(0)):
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        done = run_client("fence_virt", *arguments, "-o", "status")
        thread.join(30)
    assert done == (0, "Status: ON\n", "")
    done = run_client("fence_virt", *arguments, "-o", "off")
    assert done.status == 255
    assert "cannot connect to 127.0.0.1:" in done.errors


def test_the_reply_to_an_earlier_request_is_not_taken_for_the_answer(run_client: RunClient) -> None:
    # QEMU keeps what the daemon answered to a client that gave up, and delivers it to the next one.
    stale = serialline.pack_reply(0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(stale)
                with host_end(connection.fileno(), serialline.pack_reply(1)):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        port = str(listener.getsockname()[1])
        done = run_client("fence_virt", "-A", "127.0.0.1", "-p", port, "-n", "vm1", "-o", "off")
        thread.join(30)
    assert done.status == 1


def test_a_line_that_never_falls_silent_is_asked_all_the_same() -> None:
    guest, host = socket.socketpair()
    with guest, host:
        over = threading.Event()

        def babble() -> None:
            while not over.wait(0.02):
                host.sendall(b"login: ")

        thread = threading.Thread(target=babble)
        thread.start()
        watch = Stopwatch()
        Line(guest.fileno()).drop_what_waits(0.1, Patience(0.3))
        over.set()
        thread.join(30)
    assert watch.seconds > 0.25
    assert watch.undisturbed < 2
