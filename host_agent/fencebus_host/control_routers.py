"""Converts what a router among hosts knows of itself and of its carrier to what people read of it."""

from __future__ import annotations

from fencebus_host.control_members import members_of
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.carrier import Link, Linked
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import HostId
from fencebus_schemas.status import HostState, RouterStatus

SPEAKING = (HostState.HERE, HostState.HEARD, HostState.CONFLICT)


def router_status(
    router: FederatedRouter, me: HostId, epoch: int | None = None, clock: Clock = boottime
) -> RouterStatus:
    """How it stands now, from memory.  ``epoch`` is the number of this run of the daemon, where consoles see one."""
    ownership, carrier, now = router.ownership, router.carrier, clock()
    members = members_of(ownership, me, now)
    link = carrier.link if isinstance(carrier, Linked) else Link("", carrier.trouble is None)
    return RouterStatus(
        name=router.name,
        members=len(members),
        heard=sum(member.state in SPEAKING for member in members),
        synced=not ownership.unread(now),
        quorate=link.quorate,
        epoch=epoch,
        bus=link.to,
        connected=link.is_up,
    )
