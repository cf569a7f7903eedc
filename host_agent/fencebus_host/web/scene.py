"""Keeps what the pages show up to date while anybody looks: asks the daemon after each event, and now and then."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from fencebus_agent.patience import set_by
from fencebus_host.control_client import Declined, NoDaemon
from fencebus_host.web.patch import Scene
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import WireError
from fencebus_schemas.status import EventStatus, Status

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks without an event."""
REST_SECONDS = 0.1
"""Between two looks at least, however many events there are."""
AGAIN_SECONDS = 1.0
"""After a daemon that did not answer."""
KEPT = 200
"""Events that a page gets which comes late."""

NOTHING = Scene()
"""Before anybody has looked."""
Wrong = (NoDaemon, Declined, WireError, OSError)


class Source(Protocol):
    """Where the state comes from."""

    async def status(self) -> Status:
        """All of it.  Raises NoDaemon, Declined or WireError."""

    def events(self) -> AsyncGenerator[EventStatus, None]:
        """The last ones, then each as it comes, until the daemon ends.  Raises as ``status``."""


class Stage:
    """The scene, and who looks at it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._events: deque[EventStatus] = deque(maxlen=KEPT)
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()
        self._watched = asyncio.Event()
        self._watchers = 0
        self.scene = NOTHING

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """Somebody looks: while nobody does, the daemon is left alone."""
        self._watchers += 1
        self._watched.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._watched.clear()

    async def other_than(self, seen: Scene) -> Scene:
        """The scene, once it is not the one that was seen."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.scene is not seen)
            return self.scene

    async def run(self) -> None:
        """Keep the scene up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            group.create_task(self._listen())

    async def _look(self) -> None:
        while True:
            await self._watched.wait()
            self._wake.clear()
            try:
                scene = Scene(await self._source.status(), "", tuple(self._events))
            except Wrong as error:
                scene = Scene(self.scene.status, str(error), tuple(self._events))
            await self._show(scene)
            await asyncio.sleep(AGAIN_SECONDS if scene.trouble else REST_SECONDS)
            await set_by(self._wake, Deadline.after(LOOK_SECONDS))

    async def _listen(self) -> None:
        while True:
            await self._watched.wait()
            self._events.clear()  # they are told anew, and a daemon that was started anew has others
            try:
                async with aclosing(self._source.events()) as events:
                    async for event in events:
                        self._events.append(event)
                        self._wake.set()
            except Wrong as error:
                log.debug("no events: %s", error)
            self._wake.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _show(self, scene: Scene) -> None:
        async with self._changed:
            self.scene = scene
            self._changed.notify_all()
