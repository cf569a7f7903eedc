"""Measures what the federation costs on a corosync group: hypervisors and disks in memory, no guest in front."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fencebus_agent.memory_driver import MemoryHypervisor
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Policy
from fencebus_host.routers.checkpoint.group_carrier import GroupCarrier
from fencebus_host.routers.federated.build import Membership, build_over
from fencebus_host.routers.federated.router import FederatedRouter
from fencebus_host.service import FenceService
from fencebus_schemas.model import Action, HostId, Incarnation
from tests.corosync import Node
from tests.host_agent.federated_site import KEY, Disk, described, fence_request, until

COURSE = (("off, running", Action.OFF), ("off, already off", Action.OFF), ("on", Action.ON))
OLD = 6.0
"""Seconds: what began after the owner's last token (5 s) is ordered twice, as it may be younger than the request."""
PAUSE = 0.05


@dataclass
class Member:
    """A host without a daemon around it."""

    router: FederatedRouter
    service: FenceService


def member(node: Node, names: frozenset[HostId], rounds: int) -> Member:
    """The host of a node, with ``rounds`` VMs."""
    name, policy, disk = HostId(node.name), Policy(None), Disk()
    incarnation = Incarnation(f"boot of {name}", f"machine of {name}", "1")
    hypervisor = MemoryHypervisor(
        name, incarnation, [described(1000 * node.number + number) for number in range(rounds)]
    )
    carrier = GroupCarrier(name, (KEY,), connect=node.connect)
    router = build_over(Membership(name, incarnation, (KEY,), names), hypervisor, carrier, disk, lambda: policy)
    carrier.watch(router)
    fencing = Fencing(router, Ledger(), disk)
    label = hypervisor.cluster_of
    return Member(router, FenceService(router, policy, fencing, router, label_of=label, recall=router.recall))


@asynccontextmanager
async def members(nodes: Sequence[Node], rounds: int) -> AsyncIterator[list[Member]]:
    """One host on each node, all of which know each other."""
    names = frozenset(HostId(node.name) for node in nodes)
    made = [member(node, names, rounds) for node in nodes]
    running = [asyncio.create_task(each.router.run()) for each in made]
    try:
        await until(lambda: all({record.host for record in each.router.owners()} == names for each in made))
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def fences(nodes: Sequence[Node], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, asked at the first host for VMs of the second; every one must succeed."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in COURSE}
    async with members(nodes, rounds) as hosts:
        for name, action in COURSE:
            await asyncio.sleep(OLD)
            for number in range(rounds):
                began = time.perf_counter()
                answer = await hosts[0].service.handle(fence_request(action, f"vm{2000 + number}"), lambda: True)
                seconds[name].append(time.perf_counter() - began)
                assert answer.outcome.ok, answer.outcome
                await asyncio.sleep(PAUSE)
    return seconds
