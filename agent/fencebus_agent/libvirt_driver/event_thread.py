"""Decides where libvirt's own event loop runs: in one thread for the whole process, started when it is first needed.

libvirt has one event loop per process for ever, so this is the one piece of state that no constructor can own.
docs/decisions/libvirt-event-thread.md says why it is not the asyncio loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import libvirt

log = logging.getLogger(__name__)

_once = threading.Lock()
_started = threading.Event()


def ensure_running() -> None:
    """Start the event loop if it is not running yet.  Call it before the first connection is opened."""
    with _once:
        if _started.is_set():
            return
        _started.set()
        libvirt.registerErrorHandler(_drop_error, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_serve, name="libvirt-events", daemon=True).start()


def behind_events(call: Callable[[], None]) -> None:
    """Have ``call`` called once in libvirt's thread, behind the events that it had queued by now.

    They are delivered by a timer of their connection, which was set before this one; of timers that are due the loop
    takes the older first.
    """
    libvirt.virEventAddTimeout(0, _fire, call)


def _fire(timer: int, call: Callable[[], None]) -> None:
    libvirt.virEventRemoveTimeout(timer)
    call()


def _drop_error(context: object, error: object) -> None:
    """libvirt prints every error to stderr unless somebody takes it; each one reaches its caller as an exception."""


def _serve() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as error:
            log.warning("libvirt's event loop: %s", error)
