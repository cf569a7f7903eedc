"""Decides which hosts have left the group, from corosync's list of processes and from who spoke out of which.  Pure.

Corosync counts nodes and processes; hosts have names, and say them in their signed messages alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from fencebus_host.routers.checkpoint.happenings import Changed, Peer
from fencebus_schemas.model import HostId


class Roll:
    """Who of the group is which host."""

    def __init__(self) -> None:
        self._hosts: dict[Peer, HostId] = {}
        self._members: frozenset[Peer] = frozenset()

    @property
    def members(self) -> frozenset[Peer]:
        """The processes that are in the group now."""
        return self._members

    def spoke(self, peer: Peer, host: HostId) -> None:
        """A message of ``host`` whose signature holds came from ``peer``."""
        if peer in self._members:
            self._hosts[peer] = host

    def hosts_of(self, peers: Iterable[Peer]) -> frozenset[HostId]:
        """Who has spoken out of these processes."""
        return frozenset(self._hosts[peer] for peer in peers if peer in self._hosts)

    def changed(self, change: Changed) -> tuple[HostId, ...]:
        """The hosts that nobody in the group speaks for any more, in order."""
        self._members = change.members
        gone = {peer: host for peer, host in self._hosts.items() if peer not in change.members}
        for peer in gone:
            del self._hosts[peer]
        # A daemon that was restarted may be back before the group has seen its predecessor leave.
        return tuple(sorted(set(gone.values()) - set(self._hosts.values())))

    def all_gone(self) -> tuple[HostId, ...]:
        """The connection to corosync is lost: whoever may be there, we do not hear it."""
        return self.changed(Changed(frozenset(), self._members, frozenset()))
