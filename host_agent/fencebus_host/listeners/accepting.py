"""Takes connections from listening sockets, and pauses while the system has no room for another."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Connections taken before anything else has its turn."""
PAUSE_SECONDS = 1.0
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Accepting:
    """Listening sockets on the running loop, and who is told of each connection that they bring.

    sockets: bound; they become this object's own.
    """

    def __init__(self, sockets: Sequence[socket.socket], accepted: Callable[[socket.socket], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepted = accepted
        self._sockets = tuple(sockets)
        self._pauses: set[asyncio.TimerHandle] = set()

    def begin(self, backlog: int) -> None:
        """Listen, and take what comes.  Raises OSError."""
        for listening in self._sockets:
            listening.setblocking(False)
            listening.listen(backlog)
            self._loop.add_reader(listening, self._take, listening)

    def close(self) -> None:
        """Take nothing more; what was taken goes on.  Idempotent."""
        for pause in self._pauses:
            pause.cancel()
        sockets, self._sockets = self._sockets, ()
        for listening in sockets:
            self._loop.remove_reader(listening)
            listening.close()

    def _take(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connected, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                log.error("no connection can be taken for %.0f s: %s", PAUSE_SECONDS, error)
                self._pause(listening)
                return
            self._accepted(connected)

    def _pause(self, listening: socket.socket) -> None:
        self._loop.remove_reader(listening)
        self._pauses = {pause for pause in self._pauses if pause.when() > self._loop.time()}
        self._pauses.add(self._loop.call_later(PAUSE_SECONDS, self._go_on, listening))

    def _go_on(self, listening: socket.socket) -> None:
        self._loop.add_reader(listening, self._take, listening)
