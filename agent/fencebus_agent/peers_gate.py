"""Gate converts the first bytes of a connection into the proof of who is there; AMQP begins behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fencebus_agent.amqp1_engine import Engine
from fencebus_agent.peers_key import Steps
from fencebus_schemas.digest import AuthError
from fencebus_schemas.handshake import Send

PATIENCE = 4.0
"""Seconds until a stranger has to have shown who it is."""
MOST_STRANGERS = 64
"""Those who may be on their way to show it."""


class Gate(asyncio.Protocol):
    """Takes the steps of a handshake, and then gives the socket to the engine that ``admit`` makes for the other side.

    ``refuse`` is told why nobody was admitted; ``waiting`` are the gates before which somebody stands.
    """

    def __init__(
        self, steps: Steps, admit: Callable[[str], Engine], refuse: Callable[[str], None], waiting: set[Gate]
    ) -> None:
        self._steps, self._admit, self._refuse, self._waiting = steps, admit, refuse, waiting
        self._loop = asyncio.get_running_loop()
        self._socket: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        if len(self._waiting) >= MOST_STRANGERS:
            transport.abort()
            self._refuse(f"{MOST_STRANGERS} others have not shown yet who they are")
            return
        self._waiting.add(self)
        self._timer = self._loop.call_later(PATIENCE, self._end, "it took too long to show who it is")
        self._step(None)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        while self._timer is not None and len(self._buffer) >= self._wanted:
            read, self._buffer = bytes(self._buffer[: self._wanted]), self._buffer[self._wanted :]
            self._step(read)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end(str(exc) if exc else "it went away")

    def _step(self, read: bytes | None) -> None:
        """On to the next thing to be read."""
        assert self._socket is not None
        try:
            step = next(self._steps) if read is None else self._steps.send(read)
            while isinstance(step, Send):
                self._socket.write(step.data)
                step = next(self._steps)
            self._wanted = step.length
        except StopIteration as admitted:
            self._open(self._socket, str(admitted.value))
        except AuthError as error:
            self._end(str(error))

    def _open(self, socket: asyncio.Transport, name: str) -> None:
        self._stop_waiting()
        engine = self._admit(name)
        socket.set_protocol(engine)
        engine.connection_made(socket)
        if self._buffer:
            engine.data_received(bytes(self._buffer))

    def _end(self, reason: str) -> None:
        if self._timer is not None and self._socket is not None:
            self._stop_waiting()
            self._socket.abort()
            self._refuse(reason)

    def _stop_waiting(self) -> None:
        self._waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
