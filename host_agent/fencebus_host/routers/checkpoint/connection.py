"""Opens this host's place in the corosync cluster: the group, and the word on quorum, or neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host.routers.checkpoint.libcorosync import CorosyncError, Group, Quorum

GROUP = "fencebus-1"
"""Never the C daemon's: it would take our messages for its own."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a host needs of corosync."""

    group: Group
    quorum: Quorum

    def close(self) -> None:
        """Leave.  Waits for corosync."""
        self.group.close()
        self.quorum.close()


Connect = Callable[[], Connection]
"""Raises CorosyncError.  Waits for corosync, without any limit if it is frozen: runs in a thread."""


def connect() -> Connection:
    """As ``Connect``."""
    quorum = Quorum()
    try:
        return Connection(Group(GROUP), quorum)
    except CorosyncError:
        quorum.close()
        raise
