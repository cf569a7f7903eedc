"""Looks at the running daemon: whether it answers, which of its parts work, who else holds its ports."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fencebus_host.config.model import Config, ListenerSettings, MulticastSettings, TcpSettings
from fencebus_host.control import NoDaemon, PartState
from fencebus_host.ctl.doctor.findings import Finding, bad, good
from fencebus_host.ctl.doctor.sockets import Holder


@dataclass(frozen=True, slots=True)
class Running:
    """What the daemon said; ``trouble`` if it said nothing."""

    parts: tuple[PartState, ...] = ()
    trouble: NoDaemon | None = None
    pause: str = ""
    """Why it refuses every power action, if it does."""


def check_daemon(running: Running) -> Iterator[Finding]:
    """It answers, and all of its parts work."""
    if running.trouble is not None:
        yield bad("daemon", str(running.trouble), _fix(running.trouble))
        return
    yield good("daemon", "fence_virtd runs and answers")
    if running.pause:
        dry = "restart it without --dry-run"
        yield bad("paused", running.pause, dry if running.pause.startswith("DRY RUN") else "fence_virtctl resume")
    for part in running.parts:
        if part.trouble is None:
            yield good("part", f"{part.name} works")
        else:
            yield bad("part", f"{part.name}: {part.trouble}", "its cause is in: journalctl -u fence_virtd")


def _fix(trouble: NoDaemon) -> str:
    if trouble.reason == errno.EACCES:
        return "as root: sudo fence_virtctl doctor"
    if trouble.is_gone:
        return "systemctl start fence_virtd; journalctl -u fence_virtd says why not"
    return "it is there and hangs: journalctl -u fence_virtd; then systemctl restart fence_virtd"


def check_ports(config: Config, running: Running, look: Callable[[str, int], tuple[Holder, ...]]) -> Iterator[Finding]:
    """Where the daemon does not run, or a listener of its does not work: who holds the listener's port.

    A daemon that is there and cannot be asked may hold them itself.
    """
    if running.trouble is not None and not running.trouble.is_gone:
        return
    working = {part.name for part in running.parts if part.trouble is None}
    for listener in config.listeners:
        if f"listener {listener.name}" not in working:
            yield from _port(listener, look)


def _port(listener: ListenerSettings, look: Callable[[str, int], tuple[Holder, ...]]) -> Iterator[Finding]:
    if not isinstance(listener, MulticastSettings | TcpSettings):
        return
    protocol = "udp" if isinstance(listener, MulticastSettings) else "tcp"
    for holder in look(protocol, listener.port):
        who = f"{holder.program} (process {holder.pid})" if holder.pid else "another program"
        text = f"{protocol} port {listener.port} of listener {listener.name} is held by {who}"
        yield bad("port", text, f"end it if it is not wanted: ss -lnp | grep {listener.port}")
