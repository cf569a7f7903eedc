"""Converts what a host knows of itself and its VMs to the values of QMF objects, in the words that old consoles know.

Pure.  Facts: qmf2 4.2 to 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fencebus_agent.qmf_objects import object_name
from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.model import HostId, Uuid, VmState
from fencebus_schemas.qmf2_classes import NODE
from fencebus_schemas.qmf2_data import ObjectId
from fencebus_schemas.qmf2_names import AgentName

VENDOR, PRODUCT = "fencebus", "libvirt-qmf"
"""Old daemons look for agents by this product."""
SHUTOFF = "shutoff"
_STATES = {
    VmState.RUNNING: "running",
    VmState.PAUSED: "paused",
    VmState.INCOMING: "paused",
    # Of its image the VM would live on: an old daemon has to call destroy, which it does not for what is shut off.
    VmState.SAVED: "paused",
    VmState.OFF: SHUTOFF,
    VmState.UNKNOWN: "running",
}


@dataclass(frozen=True, slots=True)
class LastFence:
    """What became of a VM's last fence."""

    time: int
    """Nanoseconds since 1970."""
    action: str
    result: str
    """The value of the Reason."""
    by: str
    request: str


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """A VM as consoles see it.  What is ``None`` is not known, and not told."""

    uuid: Uuid
    name: str
    state: VmState
    owner: HostId
    """The host that has it, or had it last."""
    number: int | None = None
    """The hypervisor's, of its present run."""
    processors: int | None = None
    maximum_memory: int | None = None
    """KiB; and so is ``memory``."""
    memory: int | None = None
    cpu_time: int | None = None
    """Nanoseconds."""
    last_fence: LastFence | None = None


def agent_name(host: HostId) -> AgentName:
    """What consoles call a host's agent."""
    return AgentName(VENDOR, PRODUCT, host)


def state_word(state: VmState) -> str:
    """``running`` or ``paused`` for whatever may live, else ``shutoff``.

    Of other words an old fence_virtd believes that the VM is dead: it kills nothing and reports success (facts: qmf2
    0.8).
    """
    return _STATES[state]


def owned(host: HostId, domains: Iterable[DomainFacts]) -> dict[str, Map]:
    """The Domain objects of one host by their keys: only what it owns.

    A console takes the first object that it finds, over all agents (facts: qmf2 0.9): another host's memory of a VM
    must not stand beside the VM.
    """
    return {one.uuid: domain_values(one, host) for one in domains if one.owner == host}


def domain_values(one: DomainFacts, host: HostId) -> dict[str, Value]:
    """The values of a Domain; ``uuid``, ``name`` and ``state`` are always there, and plain text."""
    word = state_word(one.state)
    optional: dict[str, Value] = {
        "id": -1 if word == SHUTOFF else one.number,
        "numVcpus": one.processors,
        "maximumMemory": one.maximum_memory,
        "memory": one.memory,
        "cpuTime": one.cpu_time,
    }
    return {
        "uuid": str(one.uuid),
        "name": one.name,
        "node": ObjectId(str(agent_name(host)), object_name(NODE.id, host)).to_map(),
        "state": word,
        "active": "false" if word == SHUTOFF else "true",
        "ownerHost": str(one.owner),
        "detailedState": one.state.value,
        **{name: value for name, value in optional.items() if value is not None},
        **_fence_values(one.last_fence),
    }


def _fence_values(last: LastFence | None) -> dict[str, Value]:
    if last is None:
        return {}
    return {
        "lastFenceTime": last.time,
        "lastFenceAction": last.action,
        "lastFenceResult": last.result,
        "lastFenceBy": last.by,
        "lastFenceRequest": last.request,
    }
