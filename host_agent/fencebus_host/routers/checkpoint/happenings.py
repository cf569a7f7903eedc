"""Words for what happens in a closed process group: who is in it, and what is said.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Peer:
    """One process in a group: corosync's number of its node, and its process id there."""

    node: int
    pid: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message to the group; also what this process has sent itself."""

    sender: Peer
    payload: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """The group has other members now.  That somebody left is no death."""

    members: frozenset[Peer]
    left: frozenset[Peer]
    joined: frozenset[Peer]
    ended: frozenset[Peer] = frozenset()
    """Of those that left: whose node is still in the cluster."""


Event = Delivered | Changed
