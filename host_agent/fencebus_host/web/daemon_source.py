"""Turns the control socket of a daemon into the source of a page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

from fencebus_host.control_client import LONGEST_ANSWER, NoDaemon, ask_daemon, line_of
from fencebus_schemas.status import EventStatus, Status
from fencebus_schemas.status_plain import from_plain

KEPT = 200
"""Events that a page is told of which have happened before."""


class DaemonSource:
    """See ``scene.Source``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def status(self) -> Status:
        """See ``Source``: in a thread, as to read ten thousand VMs takes a moment."""
        return await asyncio.to_thread(self._status)

    def _status(self) -> Status:
        return from_plain(Status, ask_daemon(self._path, "status"))

    async def events(self) -> AsyncGenerator[EventStatus, None]:
        """See ``Source``."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LONGEST_ANSWER)
        except OSError as error:
            raise NoDaemon(self._path, error.strerror or str(error), error.errno or 0) from None
        try:
            writer.write(line_of({"ask": "events", "most": KEPT}))
            while line := await reader.readline():
                told = json.loads(line)
                if not isinstance(told, dict) or "events" not in told:
                    raise NoDaemon(self._path, f"it answered {str(told)[:200]}")
                yield from_plain(EventStatus, told["events"])
        except ValueError as error:
            raise NoDaemon(self._path, str(error)) from None
        finally:
            writer.close()
