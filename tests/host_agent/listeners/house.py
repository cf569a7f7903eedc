"""A whole host in this process: memory hypervisor, service, records on disk, and listeners on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fencebus_agent.hypervisor import Presence
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.complaints import Complaints
from fencebus_host.config.model import Family, LocalGuestsOnly, MulticastSettings, TcpSettings
from fencebus_host.config.problems import Where
from fencebus_host.door import Door
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.listeners.multicast import MulticastListener
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.session import Handshake
from fencebus_host.listeners.stream import Reception, StreamListener
from fencebus_host.listeners.tcp import TcpWire
from fencebus_host.locality import GuestLocator
from fencebus_host.neighbours import is_own_address, mac_addresses_of
from fencebus_host.policy import Policy
from fencebus_host.ports import Listener
from fencebus_host.records import Records
from fencebus_host.replay import SeenRequests
from fencebus_host.routers.local import LocalRouter
from fencebus_host.service import FenceService
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmState
from tests.ports import free_tcp_port, free_udp_port
from tests.protocol_client import Guest, Secret

KEY = b"the key that every guest has"
SECRET = Secret(KEY)
NODE1 = Uuid("11111111-1111-1111-1111-111111111111")
NODE2 = Uuid("22222222-2222-2222-2222-222222222222")
VMS = (MemoryVm(NODE1, "node1"), MemoryVm(NODE2, "node2"))
HERE = Where("test")

T = TypeVar("T")


@dataclass(slots=True)
class House:
    """One host.  ``clock`` is what replay and door believe to be the time."""

    hypervisor: MemoryHypervisor
    service: FenceService
    seen: SeenRequests
    handshake: Handshake
    keys: Sequence[bytes] = (KEY,)
    minimum_hash: int = HASH_SHA256
    patience: float = 25.0
    refusals: Refusals = field(default_factory=lambda: Refusals(Complaints()))
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reception(self) -> Reception:
        """What a listener is given."""
        door = Door(self.keys, self.minimum_hash, self.seen)
        return Reception(door, self.handshake, self.refusals, self.patience)

    @property
    def locator(self) -> GuestLocator:
        """Finds guests as the daemon does."""
        return GuestLocator(is_own_address, mac_addresses_of, self.hypervisor.neighbours)

    async def tcp(self, address: str = "127.0.0.1") -> tuple[str, int]:
        """Open a TCP listener; where it listens."""
        family = Family.IPV6 if ":" in address else Family.IPV4
        port = free_tcp_port(address)
        settings = TcpSettings(where=HERE, keys=tuple(self.keys), family=family, address=address, port=port)
        await self._open(StreamListener(settings.name, TcpWire(settings, self.locator), self.reception()))
        return address, port

    async def multicast(
        self, group: str = "239.192.12.7", mode: LocalGuestsOnly = LocalGuestsOnly.AUTO, interface: str | None = "lo"
    ) -> tuple[str, int]:
        """Open a multicast listener; the group and its port."""
        family = Family.IPV6 if ":" in group else Family.IPV4
        port = free_udp_port()
        settings = MulticastSettings(
            where=HERE,
            keys=tuple(self.keys),
            family=family,
            address=group,
            port=port,
            interface=interface,
            local_guests_only=mode,
        )
        listener = MulticastListener(settings, self.reception(), self.locator, self.seen.answered, self)
        await self._open(listener)
        return group, port

    def presence(self, target: str) -> Presence:
        """How much of the target is here."""
        return self.hypervisor.presence(target)

    async def lives_here(self, target: str) -> bool:
        """Whether the target has a life here."""
        record = await self.hypervisor.find(target, Deadline.after(30))
        return record is not None and record.state.is_claim

    async def state_of(self, name: str) -> VmState:
        """A VM's state now."""
        record = await self.hypervisor.find(name, Deadline.after(30))
        assert record is not None
        return record.state

    async def _open(self, listener: Listener) -> None:
        opened = asyncio.Event()
        self.tasks.append(asyncio.create_task(listener.serve(self.service.handle, opened.set)))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({waiting, self.tasks[-1]}, return_when=asyncio.FIRST_COMPLETED, timeout=30.0)
        if not opened.is_set():
            waiting.cancel()
            self.tasks[-1].result()

    async def settle(self) -> None:
        """Let tasks of connections that have ended end too."""
        for _ in range(5):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_house(
    folder: Path, vms: Sequence[MemoryVm] = VMS, policy: Policy | None = None, clock: Clock = boottime
) -> AsyncIterator[House]:
    """A host with these VMs."""
    hypervisor = MemoryHypervisor(HostId("here"), Incarnation("boot", "machine", "nonce"), vms)
    router = LocalRouter([hypervisor])
    records = Records(folder / "state", {})
    await records.open()
    service = FenceService(router, policy or Policy(None), Fencing(router, Ledger(), records), records)
    house = House(hypervisor, service, SeenRequests(25.0, clock), Handshake(HASH_SHA256))
    try:
        yield house
    finally:
        for task in house.tasks:
            task.cancel()
        await asyncio.gather(*house.tasks, return_exceptions=True)
        await house.settle()
        await records.close()


def guest_at(place: tuple[str, int], secret: Secret = SECRET) -> Guest:
    """A guest on this machine that uses the multicast group at ``place``."""
    return Guest(secret, *place)


async def beside(act: Callable[..., T], *arguments: object) -> T:
    """Run a blocking peer in a thread while the daemon's loop goes on."""
    return await asyncio.to_thread(act, *arguments)
