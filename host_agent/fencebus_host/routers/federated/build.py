"""Builds a host among others from its parts: one place that knows what the federation needs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fencebus_agent.bus import Bus
from fencebus_agent.hypervisor import SightedHypervisor
from fencebus_host.effects import AskProof, Deed
from fencebus_host.federation.machine import Federation
from fencebus_host.federation.member import Order
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.ownership import Ownership, Past
from fencebus_host.policy import Labels, Policy, spellings
from fencebus_host.routers.federated.bus_carrier import BusCarrier
from fencebus_host.routers.federated.carrier import Carrier, Keeper, Witnesses
from fencebus_host.routers.federated.rehearsals import Rehearsals
from fencebus_host.routers.federated.router import FederatedRouter
from fencebus_host.routers.ground import Ground
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.peer import Rehearse


class Nobody:
    """Where no witness is configured."""

    async def run(self) -> None:
        """As ``Witnesses``."""
        await asyncio.get_running_loop().create_future()

    async def ask(self, question: AskProof) -> Finding:
        """As ``Witnesses``."""
        return Finding(Witness.OPERATOR, Fate.UNKNOWN, f"nobody here can say whether {question.host} is dead")


@dataclass(frozen=True, slots=True)
class Membership:
    """Who this host is among the others, and what it remembers of them."""

    me: HostId
    incarnation: Incarnation
    keys: Sequence[bytes] = ()
    """The bus keys, for ``build``: the first signs, all verify."""
    hosts: frozenset[HostId] = frozenset()
    """The configured members; empty if there is no such list."""
    past: Past | None = None
    deeds: Iterable[Deed] = field(default=())
    witnesses: Witnesses = field(default_factory=Nobody)
    """Who can say that another host is dead (S13)."""
    obeys: bool = True
    """False in a dry run: no order of any host is carried out here."""


def build_on(ground: Ground, carrier: Carrier, name: str) -> FederatedRouter:
    """The router of a daemon, over any carrier; ``name`` is the backend's in the configuration.

    ``ground`` has exactly one hypervisor and a recollection, as the configuration demands for every backend of hosts
    that fence together (``FEDERATED``).
    """
    assert ground.recollection is not None, "other hosts are remembered on disk"
    (hypervisor,) = ground.hypervisors
    memory = ground.recollection.memory
    membership = Membership(
        ground.host,
        ground.incarnation,
        hosts=ground.hosts,
        past=memory.past,
        deeds=memory.deeds,
        witnesses=ground.witnesses or Nobody(),
        obeys=not ground.dry_run,
    )
    return build_over(membership, hypervisor, carrier, ground.recollection.keeper, ground.policy, name=name)


def build_over(
    membership: Membership,
    hypervisor: SightedHypervisor,
    carrier: Carrier,
    keeper: Keeper,
    policy: Callable[[], Policy],
    clock: Clock = boottime,
    name: str = "federated",
) -> FederatedRouter:
    """The router over any carrier; ``policy`` is asked anew for each order, as a reload may change it."""
    me, incarnation = membership.me, membership.incarnation
    ownership = Ownership(me, incarnation, membership.hosts, membership.past)

    def permits(order: Order | Rehearse) -> bool:
        return may_order(policy(), order, ownership)

    machine = Federation(me, incarnation, ownership, permits, lambda: secrets.token_hex(8), clock(), membership.obeys)
    machine.remember(membership.deeds)
    rehearsals = Rehearsals(me, incarnation, hypervisor, carrier, permits, clock, membership.obeys)
    return FederatedRouter(me, machine, hypervisor, carrier, keeper, membership.witnesses, rehearsals, clock, name)


def build(
    membership: Membership,
    hypervisor: SightedHypervisor,
    bus: Bus,
    keeper: Keeper,
    policy: Callable[[], Policy],
    clock: Clock = boottime,
) -> FederatedRouter:
    """As ``build_over``, on a bus."""
    carrier = BusCarrier(membership.me, bus, membership.keys, clock=clock, hosts=membership.hosts)
    return build_over(membership, hypervisor, carrier, keeper, policy, clock)


def may_order(policy: Policy, order: Order | Rehearse, ownership: Ownership) -> bool:
    """S6, at the owner: its own groups and its own label of the target, whatever the other host has allowed."""
    # What others have of it may be an old definition: its label opens nothing here.
    records = ownership.here(order.vm) or ownership.known(order.vm)
    names = spellings(order.target, order.vm, *(record.name for record in records))
    labels = {Labels(order.source_cluster, record.cluster) for record in records} or {Labels(order.source_cluster)}
    source = order.source
    asker = spellings(source.vm or "", source.vm_name) if source.known else frozenset[str]()
    return all(policy.permits(source, asker, names, each) for each in labels)
