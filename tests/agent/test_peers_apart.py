"""Hosts with direct links in processes of their own, and on networks of their own, whose lines are cut."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from fencebus_agent.bus import BusCongested, BusError, BusMessage, BusState, Priority
from fencebus_agent.bus_terms import Terms
from fencebus_agent.peers_bus import PeersBus
from tests.components import CHECKOUT, require_program
from tests.hypervisors import eventually, soon
from tests.namespaces import Neighbour, bridge, neighbour, own_network, run_ip
from tests.peer_process import address
from tests.ports import free_tcp_port
from tests.rabbitmq_site import running
from tests.server_process import ServerProcess

KEY, HEARTBEAT = "the key of the hosts", 1.5
TERMS, SOON = Terms(heartbeat=HEARTBEAT), Terms(heartbeat=0.5)


class Asker:
    """A bus with answers."""

    def __init__(self, bus: PeersBus) -> None:
        self.bus, self.answers, self._numbers = bus, list[BusMessage](), itertools.count()
        self.states: list[BusState] = []
        bus.subscribe(bus.own, self.answers.append)
        bus.watch(lambda state, _reason: self.states.append(state))

    async def asks(self, name: str) -> bool:
        """True if that host answers within a moment."""
        number = str(next(self._numbers))
        question = BusMessage(b"who? ", reply_to=self.bus.own, correlation_id=number)
        with contextlib.suppress(BusError):
            await self.bus.send(address(name), question, soon(1), Priority.COMMAND)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: any(answer.correlation_id == number for answer in self.answers), 0.5)
        return any(answer.correlation_id == number for answer in self.answers)

    async def hears(self, name: str) -> None:
        """Return once that host answers."""
        for _ in range(80):
            if await self.asks(name):
                return
        raise AssertionError(f"{name} did not answer in time")


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[Asker, dict[str, ServerProcess]]]:
    """This process is a; b and c are others."""
    url = "peers://" + ",".join(f"{name}@127.0.0.1:{free_tcp_port()}" for name in "abc")
    argv = (sys.executable, "-m", "tests.peer_process", url)
    with contextlib.ExitStack() as stack:
        others = {name: ServerProcess([*argv, name, KEY, str(HEARTBEAT)], folder / name, cwd=CHECKOUT) for name in "bc"}
        for other in others.values():
            stack.enter_context(other)
        asker = Asker(PeersBus(url, "a", (KEY.encode(),), TERMS))
        async with running(asker.bus):
            for name in others:
                await asker.hears(name)
            yield asker, others


async def test_a_host_that_is_killed_is_missed_and_one_that_comes_again_is_heard_again(tmp_path: Path) -> None:
    async with site(tmp_path) as (asker, others):
        others["b"].stop(signal.SIGKILL)
        await eventually(lambda: asker.bus._presence._there == {"c"}, 20)
        assert not await asker.asks("b")
        await asker.hears("c")
        assert BusState.LOST not in asker.states
        others["b"].start()
        await asker.hears("b")


async def test_a_host_that_stands_still_takes_no_command_and_is_lost_after_two_heartbeats(tmp_path: Path) -> None:
    async with site(tmp_path) as (asker, others):
        others["b"].send(signal.SIGSTOP)
        question = BusMessage(reply_to=asker.bus.own)
        with pytest.raises(BusCongested, match="b has not taken it"):
            await asker.bus.send(address("b"), question, soon(0.3), Priority.COMMAND)
        await asker.hears("c")
        await eventually(lambda: asker.bus._presence._there == {"c"}, 20)
        others["b"].send(signal.SIGCONT)
        await asker.hears("b")


class Apart:
    """A host in a thread and a network namespace of its own."""

    def __init__(self, machine: Neighbour, url: str) -> None:
        self._machine, self.states = machine, list[BusState]()
        self._loop: asyncio.AbstractEventLoop = machine.does(asyncio.new_event_loop)
        self._stop = asyncio.Event()
        self.ended: Future[None] = machine.begin(lambda: self._loop.run_until_complete(self._live(url)))

    def runs(self, command: str) -> None:
        """A program on that machine."""

        async def inside() -> None:
            await asyncio.to_thread(run_ip, command)

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result(30)

    def end(self) -> None:
        """It leaves."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self.ended.result(30)
        self._machine.does(self._loop.close)

    async def _live(self, url: str) -> None:
        bus = PeersBus(url, self._machine.name, (KEY.encode(),), SOON)
        bus.watch(lambda state, _reason: self.states.append(state))
        task = asyncio.create_task(bus.run())
        await self._stop.wait()
        await bus.close()
        await task


@pytest.fixture
def two() -> Iterator[tuple[Apart, Apart]]:
    """Two machines on one bridge."""
    require_program("ip", "iproute2")
    with own_network(), contextlib.ExitStack() as stack:
        bridge("fbpeers", "10.77.0.1/24")
        url = "peers://peerb@10.77.0.2,peerc@10.77.0.3"
        hosts: list[Apart] = []
        for number, name in enumerate(("peerb", "peerc"), 2):
            machine = stack.enter_context(
                neighbour(name, "fbpeers", f"10.77.0.{number}/24", f"02:00:00:00:07:0{number}")
            )
            hosts.append(Apart(machine, url))
            stack.callback(hosts[-1].end)
        yield hosts[0], hosts[1]


async def came_to(hosts: tuple[Apart, Apart], state: BusState) -> None:
    """Return once that is the last that both have told."""
    await eventually(lambda: all(host.states[-1:] == [state] for host in hosts), 40)


async def test_a_line_that_is_cut_is_noticed_on_both_sides_and_so_is_its_mending(two: tuple[Apart, Apart]) -> None:
    await came_to(two, BusState.CONNECTED)
    await asyncio.to_thread(partial(run_ip, "link set peerb down"))
    await came_to(two, BusState.LOST)
    await asyncio.to_thread(partial(run_ip, "link set peerb up"))
    await came_to(two, BusState.CONNECTED)


async def test_a_line_that_leads_one_way_only_is_none(two: tuple[Apart, Apart]) -> None:
    await came_to(two, BusState.CONNECTED)
    two[0].runs("route add blackhole 10.77.0.3/32")
    await came_to(two, BusState.LOST)
    two[0].runs("route del blackhole 10.77.0.3/32")
    await came_to(two, BusState.CONNECTED)
