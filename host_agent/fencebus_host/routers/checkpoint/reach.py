"""Decides whether this host could be in the hosts' group now, by asking corosync.

Nothing is joined: a second member of this host, even for a moment, would make the others take it for a new daemon.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass

from fencebus_host.routers.checkpoint.libcorosync import CorosyncError, Quorum, Settings, admits
from fencebus_host.routers.checkpoint.secret import SecretError, secret_of

PATIENCE = 3.0
"""Seconds after which a corosync that does not answer counts as frozen."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What was found."""

    trouble: str = ""
    """Why the group cannot be joined; empty if it can."""
    quorate: bool = False
    counted: bool = True
    """False without a quorum provider: then there never is a quorum."""


def look(patience: float = PATIENCE) -> Reach:
    """What corosync says on this host; returns within ``patience`` seconds."""
    answers: queue.SimpleQueue[Reach] = queue.SimpleQueue()
    # A daemon thread: a frozen corosync would keep it, and whoever waits for it, for ever.
    threading.Thread(target=lambda: answers.put(_asked()), name="corosync-look", daemon=True).start()
    try:
        return answers.get(timeout=patience)
    except queue.Empty:
        return Reach(f"corosync has not answered for {patience:g} s")


def _asked() -> Reach:
    try:
        with contextlib.closing(Settings()) as settings:
            secret_of(settings)
        admits()
        with contextlib.closing(Quorum()) as quorum:
            return Reach(quorate=quorum.asked(), counted=quorum.is_counted)
    except (CorosyncError, SecretError) as error:
        return Reach(str(error))
