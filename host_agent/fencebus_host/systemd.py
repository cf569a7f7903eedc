"""Tells systemd how the daemon is: the protocol of sd_notify(3), a datagram to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_seconds = _watchdog_seconds(environment, os.getpid() if pid is None else pid)
        """Within how many seconds systemd wants a sign of life; ``None`` if it does not ask for one."""

    def tell(self, *states: str) -> None:
        """Send ``READY=1``, ``STATUS=...``, ``WATCHDOG=1``, ``STOPPING=1`` and the like, as one message."""
        if not self._address:
            return
        lines = [state.replace("\n", " ") for state in states]  # a line break in an error's text would begin a state
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
                notify.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager cannot be told: %s", error)


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    """From WATCHDOG_USEC, if it is meant for this process (WATCHDOG_PID)."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(microseconds) / 1e6 or None
