"""Connections taken from real listening sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Iterator

import pytest

from fencebus_host.listeners import accepting
from fencebus_host.listeners.accepting import Accepting


class Hall:
    """Keeps who has come in."""

    def __init__(self, doors: int = 1) -> None:
        self.guests: list[socket.socket] = []
        self.arrived = asyncio.Event()
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(doors)]
        self.accepting = Accepting(self.sockets, self._welcome)

    def _welcome(self, guest: socket.socket) -> None:
        self.guests.append(guest)
        self.arrived.set()

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.guests) < count:
                self.arrived.clear()
                await self.arrived.wait()

    def close(self) -> None:
        self.accepting.close()
        for guest in self.guests:
            guest.close()


@contextlib.contextmanager
def no_more_descriptors() -> Iterator[None]:
    """As many descriptors as are open now, and not one more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        limit = highest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_everybody_who_connects_at_any_door_is_let_in() -> None:
    hall = Hall(doors=2)
    hall.accepting.begin(128)
    with contextlib.ExitStack() as outside:
        for door in hall.sockets:
            for _ in range(70):
                outside.enter_context(socket.create_connection(door.getsockname()))
        await hall.holds(140)
    hall.close()


async def test_who_is_in_stays_when_the_door_is_closed() -> None:
    hall = Hall()
    hall.accepting.begin(8)
    with socket.create_connection(hall.sockets[0].getsockname()) as guest:
        await hall.holds(1)
        hall.accepting.close()
        hall.guests[0].sendall(b"still here")
        assert guest.recv(16) == b"still here"
    hall.close()


async def test_a_guest_for_whom_there_is_no_descriptor_waits_until_there_is_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.05)
    hall = Hall()
    hall.accepting.begin(8)
    with socket.create_connection(hall.sockets[0].getsockname()), caplog.at_level(logging.ERROR):
        with no_more_descriptors():
            await asyncio.sleep(0.12)
            assert hall.guests == []
        await hall.holds(1)
    assert "no connection can be taken" in caplog.text
    hall.close()


async def test_a_door_that_is_closed_in_a_pause_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.02)
    hall = Hall()
    hall.accepting.begin(8)
    with socket.create_connection(hall.sockets[0].getsockname()), no_more_descriptors():
        await asyncio.sleep(0.01)
        hall.close()
    await asyncio.sleep(0.05)
    assert hall.guests == []
