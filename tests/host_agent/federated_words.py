"""Makes hosts, incarnations and VM records for the tests of what hosts know of each other."""

from __future__ import annotations

from fencebus_host.ownership import Heard, Ownership, Past
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Announce, Change, Fetch, Forget, Inventory, Message

A, B, C = HostId("a"), HostId("b"), HostId("c")
VM = Uuid("11111111-1111-1111-1111-111111111111")
OTHER = Uuid("22222222-2222-2222-2222-222222222222")


def incarnation(host: HostId, start: int = 1, machine: str = "") -> Incarnation:
    """One start of a host's daemon."""
    return Incarnation(f"boot of {host}", machine or f"machine of {host}", f"start {start} of {host}")


def vm_number(number: int) -> Uuid:
    """One of many VMs."""
    return Uuid(f"00000000-0000-0000-0000-{number:012d}")


def record(
    host: HostId, vm: Uuid = VM, state: VmState = VmState.RUNNING, name: str = "vm", hypervisor: str = ""
) -> VmRecord:
    """What ``host`` says of a VM."""
    return VmRecord(vm, name, state, host, incarnation(host), hypervisor=hypervisor)


def host(
    name: HostId, configured: frozenset[HostId] = frozenset(), past: Past | None = None, start: int = 1
) -> Ownership:
    """A host that has just started."""
    return Ownership(name, incarnation(name, start), configured, past)


def hear(listener: Ownership, message: Message, now: float) -> Heard:
    """Give a host a message, whatever it is."""
    if isinstance(message, Announce):
        return listener.announce_heard(message, now)
    if isinstance(message, Inventory):
        return listener.inventory_heard(message, now)
    if isinstance(message, Change):
        return listener.change_heard(message, now)
    if isinstance(message, Fetch):
        return listener.fetch_heard(message, now)
    assert isinstance(message, Forget)
    return listener.forget_heard(message, now)


def meet(first: Ownership, second: Ownership, now: float) -> None:
    """Both announce, and everything that follows reaches the one for whom it is."""
    waiting: list[Message] = [first.announce("t1"), second.announce("t2")]
    while waiting:
        message = waiting.pop(0)
        for each in (first, second):
            if each._me != message.sender and message.to in (each._me, EVERYONE):
                waiting += hear(each, message, now).replies


def settle(hosts: list[Ownership], now: float) -> None:
    """Twice everybody meets everybody: what the first round taught spreads in the second."""
    for around in range(2):
        for first in hosts:
            for second in hosts:
                if first is not second:
                    meet(first, second, now + 2 * around)
