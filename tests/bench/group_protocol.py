"""Measures what the federation costs on a corosync group: hypervisors and disks in memory, no guest in front.

    python -m tests.bench.group_protocol NODE NUMBER ADDRESS FOLDER HOLDER ROUNDS HOSTS...

takes part as one of the other hosts.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

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


@contextmanager
def others(nodes: Sequence[Node], rounds: int) -> Iterator[None]:
    """A process for each host but the first, as hosts have processors of their own."""
    with ExitStack() as stack:
        for node in nodes[1:]:
            place = [str(each) for each in (node.name, node.number, node.address, node.folder, node.holder, rounds)]
            argv = [sys.executable, "-m", "tests.bench.group_protocol", *place, *(each.name for each in nodes)]
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stack.enter_context(process)
            assert process.stdin is not None
            stack.callback(process.stdin.close)
        yield


@asynccontextmanager
async def taking_part(node: Node, names: frozenset[HostId], rounds: int) -> AsyncIterator[Member]:
    """The host of a node, that knows all others."""
    made = member(node, names, rounds)
    running = asyncio.create_task(made.router.run())
    try:
        await until(lambda: {record.host for record in made.router.owners()} == names)
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def fences(node: Node, names: frozenset[HostId], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, asked at this host for VMs of the second; every one must succeed."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in COURSE}
    async with taking_part(node, names, rounds) as host:
        for name, action in COURSE:
            await asyncio.sleep(OLD)
            for number in range(rounds):
                began = time.perf_counter()
                answer = await host.service.handle(fence_request(action, f"vm{2000 + number}"), lambda: True)
                seconds[name].append(time.perf_counter() - began)
                assert answer.outcome.ok, answer.outcome
                await asyncio.sleep(PAUSE)
    return seconds


def measured(nodes: Sequence[Node], rounds: int) -> dict[str, list[float]]:
    """As ``fences``, with the other hosts."""
    with others(nodes, rounds):
        return asyncio.run(fences(nodes[0], frozenset(HostId(node.name) for node in nodes), rounds))


async def _serve(node: Node, names: frozenset[HostId], rounds: int) -> None:
    async with taking_part(node, names, rounds):
        await asyncio.to_thread(sys.stdin.read)


def main(name: str, number: str, address: str, folder: str, holder: str, rounds: str, *names: str) -> None:
    """Take part until the standard input ends."""
    gc.freeze()  # as the daemon does
    node = Node(name, int(number), address, Path(folder), int(holder))
    asyncio.run(_serve(node, frozenset(map(HostId, names)), int(rounds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
