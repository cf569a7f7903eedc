"""Measures a fence across hosts on any bus, beside a bare echo over the same bus: what the protocol costs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fencebus_agent.bus import Address, Bus, BusMessage, Priority, direct_exchange
from fencebus_agent.kombu_bus import KombuBus
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, VmState
from tests.bench.figures import Figures
from tests.bench.raw_echo import raw_echo
from tests.bench.tables import ratio, spread, table
from tests.host_agent.federated_site import BusFactory, described, site, vm
from tests.rabbitmq import running_rabbitmq

HOSTS = (2, 3, 7)
DIRECT = direct_exchange()


def _in_memory() -> Callable[[str], Bus]:
    broker = MemoryBroker()
    return lambda name: MemoryBus(broker, name)


async def _echo(client: Callable[[str], Bus], rounds: int) -> list[float]:
    """Seconds from a message to its echo: the floor of everything that needs another host's word."""
    near, far = client("near"), client("far")
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


async def _fences(bus: BusFactory | None, hosts: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, asked at one host of a VM that runs on another; every one must succeed."""
    vms = {f"host{number}": [described(number)] for number in range(1, hosts + 1)}
    seconds: dict[str, list[float]] = {"off": [], "off again": [], "on": [], "reboot": []}
    async with site(vms, bus=bus) as (_, those):
        first, owner = those["host1"], those["host2"]
        for _ in range(rounds):
            for name, action in (
                ("off", Action.OFF),
                ("off again", Action.OFF),
                ("on", Action.ON),
                ("reboot", Action.REBOOT),
            ):
                began = time.perf_counter()
                answer = await first.ask(action, vm(2))
                seconds[name].append(time.perf_counter() - began)
                assert answer.outcome.ok, answer.outcome
                # What began a moment ago is refused as younger than a request of the same moment.
                await asyncio.sleep(0.05)
            assert await owner.state(2) is VmState.RUNNING
    return seconds


@contextlib.contextmanager
def _broker(bus: str | None) -> Iterator[str | None]:
    """The URL to be measured on; "rabbitmq" is one that is started for it."""
    if bus != "rabbitmq":
        yield bus
        return
    with tempfile.TemporaryDirectory() as folder, running_rabbitmq(Path(folder) / "node") as broker:
        yield broker.url()


def _rows(url: str | None, rounds: int) -> Iterator[tuple[str, str, str, str]]:
    """The echo first, as everything is measured by it."""

    def client(_name: str) -> Bus:
        return KombuBus(url or "")

    floor = Figures.of(asyncio.run(_echo_on(url, client, rounds * 5)))
    if url is not None:
        raw = Figures.of(raw_echo(url, rounds * 5))
        yield "echo with kombu alone", "2", spread(raw), ratio(raw.median / floor.median)
    yield "echo", "2", spread(floor), "1.00"
    for hosts in HOSTS:
        for name, seconds in asyncio.run(_fences(client if url else None, hosts, rounds)).items():
            figures = Figures.of(seconds)
            yield name, str(hosts), spread(figures), ratio(figures.median / floor.median)


async def _echo_on(url: str | None, client: Callable[[str], Bus], rounds: int) -> list[float]:
    return await _echo(client if url else _in_memory(), rounds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="of each figure (default: %(default)s)")
    parser.add_argument("--bus", help='URL of a broker, or "rabbitmq" to start one (default: a bus in memory)')
    given = parser.parse_args()
    with _broker(given.bus) as url:
        rows = list(_rows(url, given.rounds))
    print(table(("one fence, all in one process", "hosts", "least / median / p90 ms", "x echo"), rows))


if __name__ == "__main__":
    main()
