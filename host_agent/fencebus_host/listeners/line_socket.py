"""Converts a guest's line into connections that a session serves, whichever side made the Unix socket.

Connects and listens; what is said on a connection is the session's business, and when to try again the listener's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from fencebus_agent.guest_devices import GuestLine
from fencebus_host.listeners.line import CHUNK

log = logging.getLogger(__name__)

LONGEST_PATH = 107
"""Bytes of a Unix socket's path (sun_path, less its NUL)."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection until it ends; raises OSError if it breaks."""


async def hold(line: GuestLine, serve: Serve) -> None:
    """Connect to the line, or be connected to; returns when that has ended, raises OSError if it could not be."""
    if len(os.fsencode(line.path)) > LONGEST_PATH:
        raise OSError(f"a socket's path has at most {LONGEST_PATH} bytes, this one more")
    await (_await_caller(line, serve) if line.daemon_listens else _call(line, serve))


async def _call(line: GuestLine, serve: Serve) -> None:
    """The hypervisor listens on the socket (``mode='bind'``)."""
    reader, writer = await asyncio.open_unix_connection(line.path, limit=CHUNK)
    await _until_end(serve, reader, writer)


async def _await_caller(line: GuestLine, serve: Serve) -> None:
    """The hypervisor connects to the socket (``mode='connect'``): the daemon listens there, whether the guest runs or
    not.
    """
    callers: set[asyncio.Task[None]] = set()

    async def serve_caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _until_end(serve, reader, writer)
        except OSError as error:
            log.debug("line=%s: %s", line.path, error)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve_caller(reader, writer), name=f"line {line.path}")
        callers.add(task)
        task.add_done_callback(callers.discard)

    server = await asyncio.start_unix_server(connected, sock=listening_socket(Path(line.path)), limit=CHUNK)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        for task in callers:
            task.cancel()


async def _until_end(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await serve(reader, writer)
    finally:
        writer.transport.abort()


def listening_socket(path: Path) -> socket.socket:
    """A socket that belongs to its folder's group, which is how the administrator lets the hypervisor's user in.

    Raises OSError, also if something else than a dead socket is in the way.
    """
    if path.is_socket():
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        os.chown(path, -1, path.parent.stat().st_gid)
        path.chmod(0o660)
    except OSError:
        listening.close()
        raise
    return listening
