"""Decides which listeners run as configurations come and go: which are opened, closed, renewed in place, left alone.

A listener whose keys, hashes or patience change goes on with its socket, so that keys rotate without a gap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from fencebus_host.assembly import ListenerFactory
from fencebus_host.config.model import REQUEST_TIMEOUT, Config, Digest, KeyedSettings, ListenerSettings
from fencebus_host.ports import Handle, Listener
from fencebus_host.supervision import Part

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    listener: Listener
    part: Part


class Listening:
    """The listeners of one daemon."""

    def __init__(self, factory: ListenerFactory, handle: Handle, changed: Callable[[], None]) -> None:
        """``changed`` is called whenever a listener's state does."""
        self._factory = factory
        self._handle = handle
        self._changed = changed
        self._running: dict[ListenerSettings, _Running] = {}
        self._replacing: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def parts(self) -> Sequence[Part]:
        """The listeners with their states."""
        return [running.part for running in self._running.values()]

    @property
    def deaf(self) -> bool:
        """True if no listener works."""
        return all(part.trouble for part in self.parts)

    def follow(self, config: Config) -> None:
        """Bring the listeners in line with a configuration."""
        self._renew(config.listeners)
        leaving = [self._running.pop(known).part for known in list(self._running) if known not in config.listeners]
        coming = [part for settings in config.listeners if (part := self._open(settings))]
        if leaving:
            self._keep(asyncio.create_task(self._replace(leaving, coming)))
        else:
            _start(coming)

    async def stop(self) -> None:
        """Take nothing new any more."""
        self._stopped = True
        await asyncio.gather(*(part.stop() for part in self.parts))

    def _renew(self, wanted: Iterable[ListenerSettings]) -> None:
        """What differs only in whom it believes keeps its socket."""
        places = {_place(settings): settings for settings in wanted}
        for known in list(self._running):
            settings = places.get(_place(known))
            if settings is None or settings == known or not _may_run(settings):
                continue
            running = self._running.pop(known)
            self._factory.renew(running.listener, settings)
            self._running[settings] = running
            log.info("listener=%s renewed", settings.name)

    def _open(self, settings: ListenerSettings) -> Part | None:
        if settings in self._running:
            return None
        if not _may_run(settings):
            log.warning("listener=%s not started: it needs a key; make one and name it with key_file", settings.name)
            return None
        listener = self._factory.build(settings)
        if listener is None:
            log.warning("listener=%s not started: this version has no such listener", settings.name)
            return None
        part = Part(f"listener {settings.name}", lambda ready: listener.serve(self._handle, ready), self._changed)
        self._running[settings] = _Running(listener, part)
        return part

    async def _replace(self, leaving: Sequence[Part], coming: Sequence[Part]) -> None:
        """One after the other: a listener may want the port of its predecessor."""
        await asyncio.gather(*(part.stop() for part in leaving))
        if not self._stopped:
            _start(coming)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)


def _start(parts: Iterable[Part]) -> None:
    for part in parts:
        part.start()


def _may_run(settings: ListenerSettings) -> bool:
    return not (isinstance(settings, KeyedSettings) and settings.needs_key)


def _place(settings: ListenerSettings) -> ListenerSettings:
    """The settings without what a listener can change while its socket stays open."""
    if not isinstance(settings, KeyedSettings):
        return settings
    return replace(settings, key_files=(), keys=(), hash=Digest.NONE, auth=Digest.NONE, request_timeout=REQUEST_TIMEOUT)
