"""Opens this host's place in the corosync cluster: the group, the word on quorum and the secret, or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host.routers.checkpoint.libcorosync import Group, Quorum, Settings
from fencebus_host.routers.checkpoint.secret import secret_of

GROUP = "fencebus-1"
"""Never the C daemon's: it would take our messages for its own."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a host needs of corosync."""

    group: Group
    quorum: Quorum
    secret: bytes
    """The hosts' key, where none is configured."""

    def close(self) -> None:
        """Leave.  Waits for corosync."""
        self.group.close()
        self.quorum.close()


Connect = Callable[[], Connection]
"""Raises CorosyncError or SecretError.  Waits for corosync, without any limit if it is frozen: runs in a thread."""


def connect() -> Connection:
    """As ``Connect``."""
    with contextlib.closing(Settings()) as settings:
        secret = secret_of(settings)
    with contextlib.ExitStack() as undo:
        quorum = Quorum()
        undo.callback(quorum.close)
        group = Group(GROUP)
        undo.pop_all()
    return Connection(group, quorum, secret)
