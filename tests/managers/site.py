"""A stand-in with the usual machines and accounts, and our router in front of it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fencebus_host.config.backends import Credentials, HostFencing, ManagerSettings, OvirtSettings
from fencebus_host.routers.ovirt import build
from fencebus_host.routers.ovirt.router import OvirtRouter
from fencebus_schemas.model import Incarnation
from tests.managers.stand_in import StandIn
from tests.managers.world import Account, Host, Vm, World

USER = "admin@internal"
PASSWORD = "s3cret & <more>"
PLAIN_USER = "fencer@internal"
NODE1, NODE2, NODE3 = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3))


def world() -> World:
    """Three nodes on two hosts, an administrator, and a user that may stop and start."""
    made = World()
    made.hosts = {name: Host(name, name.replace("host-", "h")) for name in ("host-1", "host-2")}
    made.accounts = {USER: Account(PASSWORD), PLAIN_USER: Account(PASSWORD, admin=False)}
    made.add(Vm(NODE1, "node1"), Vm(NODE2, "node2", host="host-2"), Vm(NODE3, "node3", status="down", host=""))
    return made


def settings(stand_in: StandIn, user: str = USER, host_fencing: HostFencing = HostFencing.NO) -> ManagerSettings:
    """What a configuration would say of it."""
    return ManagerSettings(
        name="engine",
        url=stand_in.url,
        credentials_file=Path("/nowhere"),
        credentials=Credentials(user, PASSWORD),
        ca_file=stand_in.certificates.ca,
        host_fencing=host_fencing,
    )


@asynccontextmanager
async def router_to(folder: Path, *managers: ManagerSettings) -> AsyncIterator[OvirtRouter]:
    """Our router to these managers, with its connections closed in the end."""
    incarnation = Incarnation("boot", "machine", secrets.token_hex(4))
    router = build(OvirtSettings(managers=managers), incarnation, folder)
    assert isinstance(router, OvirtRouter)
    try:
        yield router
    finally:
        await router.close()
