"""Measures a fence across hosts on the bus in memory, beside a bare echo over the same bus: what the protocol costs."""

from __future__ import annotations

import argparse
import asyncio
import time

from fencebus_agent.bus import Address, BusMessage, Priority, direct_exchange
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, VmState
from tests.bench.figures import Figures
from tests.bench.tables import ratio, spread, table
from tests.host_agent.federated_site import described, site, until

HOSTS = (2, 3, 7)
DIRECT = direct_exchange()


async def _echo(rounds: int) -> list[float]:
    """Seconds from a message to its echo: the floor of everything that needs another host's word."""
    broker = MemoryBroker()
    near, far = MemoryBus(broker, "near"), MemoryBus(broker, "far")
    heard: asyncio.Queue[BusMessage] = asyncio.Queue()

    def answer(message: BusMessage) -> None:
        deadline = Deadline.after(1)
        echo = far.send(Address(DIRECT, "near"), BusMessage(message.body), deadline, Priority.COMMAND)
        echoes.add(asyncio.get_running_loop().create_task(echo))

    echoes: set[asyncio.Task[None]] = set()
    near.subscribe(Address(DIRECT, "near"), heard.put_nowait)
    far.subscribe(Address(DIRECT, "far"), answer)
    running = [asyncio.create_task(bus.run()) for bus in (near, far)]
    for bus in (near, far):
        await bus.wait_connected(Deadline.after(5))
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        await near.send(Address(DIRECT, "far"), BusMessage(b"x" * 400), Deadline.after(1), Priority.COMMAND)
        await heard.get()
        seconds.append(time.perf_counter() - began)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, *echoes, return_exceptions=True)
    return seconds


async def _fences(hosts: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, asked at one host of a VM that runs on another; every one must succeed."""
    vms = {f"host{number}": [described(number)] for number in range(1, hosts + 1)}
    seconds: dict[str, list[float]] = {"off": [], "off again": [], "on": [], "reboot": []}
    async with site(vms) as (_, those):
        first, owner = those["host1"], those["host2"]
        for _ in range(rounds):
            for name, action in (
                ("off", Action.OFF),
                ("off again", Action.OFF),
                ("on", Action.ON),
                ("reboot", Action.REBOOT),
            ):
                began = time.perf_counter()
                answer = await first.ask(action, "vm2")
                seconds[name].append(time.perf_counter() - began)
                assert answer.outcome.ok, answer.outcome
            assert await owner.state(2) is VmState.RUNNING
            # What began a moment ago is refused as younger than a request of the same moment.
            await asyncio.sleep(0.02)
            await until(lambda: True)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="of each figure (default: %(default)s)")
    rounds = parser.parse_args().rounds
    floor = Figures.of(asyncio.run(_echo(rounds * 5)))
    rows = [("echo", "2", spread(floor), "1.00")]
    for hosts in HOSTS:
        for name, seconds in asyncio.run(_fences(hosts, rounds)).items():
            figures = Figures.of(seconds)
            rows.append((name, str(hosts), spread(figures), ratio(figures.median / floor.median)))
    print(table(("one fence, all in one process", "hosts", "least / median / p90 ms", "x echo"), rows))


if __name__ == "__main__":
    main()
