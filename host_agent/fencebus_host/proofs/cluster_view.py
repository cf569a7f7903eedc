"""Converts what ``crm_mon`` prints into what a cluster knows of its nodes and their fencing.  Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.errors import FencebusError

MOST_BYTES = 4 << 20
HUMAN = "a human"
"""The delegate of what was confirmed by ``stonith_admin --confirm`` (Pacemaker 2.1)."""
POWER_ACTIONS = frozenset({"off", "reboot"})
NO_POWER = frozenset(
    {
        "fence_ack_manual",
        "fence_brocade",
        "fence_cisco_mds",
        "fence_compute",
        "fence_delay",
        "fence_dummy",
        "fence_evacuate",
        "fence_heuristics_ping",
        "fence_ifmib",
        "fence_kdump",
        "fence_mpath",
        "fence_sanbox2",
        "fence_sanlock",
        "fence_sanlockd",
        "fence_sbd",
        "fence_scsi",
        "fence_watchdog",
    }
)
"""Agents that cut a node off from disks or networks, wait, or trust the node to end itself: its VMs may still run."""


class UnreadableView(FencebusError):
    """What was printed is not what a cluster prints.  ``detail``: why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class Result(Enum):
    """How far a fencing has come."""

    SUCCESS = "success"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class FenceEvent:
    """One entry of the cluster's fencing history."""

    action: str
    target: str
    result: Result
    delegate: str
    """The node that did it, or ``HUMAN``."""
    client: str
    completed: str
    """As it was printed: the clock is somebody else's, so it tells two events apart and nothing more."""

    @property
    def is_power(self) -> bool:
        """It takes the power away, at least for a moment."""
        return self.action in POWER_ACTIONS


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What one look at the cluster showed."""

    quorate: bool
    online: frozenset[str]
    nodes: frozenset[str]
    agents: frozenset[str]
    """The fence agents of all its devices."""
    events: tuple[FenceEvent, ...]

    @property
    def not_power(self) -> tuple[str, ...]:
        """Devices that prove nothing; which device did what is not told, so one of them spoils all."""
        return tuple(sorted(self.agents & NO_POWER))

    def node_of(self, host: str) -> str | None:
        """The node that a host is: by its name, or by the name up to the first dot where that is only one."""
        if host in self.nodes:
            return host
        short = [node for node in self.nodes if node.split(".", 1)[0] == host]
        return short[0] if len(short) == 1 else None


def read_view(text: str) -> ClusterView:
    """Raises UnreadableView.  It is our own cluster's program, and yet bounded; it may not declare entities."""
    if len(text) > MOST_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableView("what crm_mon printed is too long, or has a document type")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise UnreadableView(f"what crm_mon printed cannot be read: {error}") from error
    status = root.find("status")
    controller = root.find("summary/current_dc")
    if status is None or status.get("code") != "0" or controller is None:
        raise UnreadableView("crm_mon does not reach the cluster")
    nodes = root.findall("nodes/node")
    return ClusterView(
        controller.get("with_quorum") == "true",
        frozenset(node.get("name", "") for node in nodes if _is_up(node)),
        frozenset(node.get("name", "") for node in nodes),
        frozenset(_agents(root)),
        tuple(_event(each) for each in root.iter("fence_event")),
    )


def _is_up(node: ET.Element) -> bool:
    return node.get("online") == "true" and node.get("unclean") != "true"


def _agents(root: ET.Element) -> list[str]:
    named = [resource.get("resource_agent", "") for resource in root.iter("resource")]
    return [name.partition(":")[2] for name in named if name.startswith("stonith:")]


def _event(each: ET.Element) -> FenceEvent:
    told = each.get("status", "")
    known = {result.value: result for result in Result}
    names = ("action", "target", "delegate", "client", "completed")
    action, target, delegate, client, completed = (each.get(name, "") for name in names)
    # What is neither a success nor a failure may still be under way.
    return FenceEvent(action, target, known.get(told, Result.PENDING), delegate, client, completed)
