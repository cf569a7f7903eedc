"""Hosts that fence across rendered brokers: which host is where, and how they come to know each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from fencebus_agent.bus import Address, Bus, BusMessage, BusRefused, Priority
from fencebus_host.effects import Deed
from fencebus_host.policy import Policy
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, HostId, Reason, VmState
from tests.host_agent.federated_site import Host, Terms, described
from tests.rabbitmq_site import running

LIMIT = 30.0
"""Seconds that anything may take on a loaded machine."""


class Brokers(Protocol):
    """Brokers of one site that run."""

    def bus(self, user: str, *only: int) -> Bus:
        """A client with all that was rendered for the user; of certain brokers only, if their numbers are given."""


@asynccontextmanager
async def hosts_at(brokers: Brokers, places: Mapping[str, tuple[int, ...]]) -> AsyncIterator[dict[str, Host]]:
    """Hosts, each with one VM of its number, at the brokers with these numbers, in the order in which it tries them."""
    names = frozenset(map(HostId, places))

    def client(name: HostId) -> Bus:
        return brokers.bus(name, *places[name])

    hosts = {
        name: Host(HostId(name), [described(number)], Terms(Policy(None), names, None), client)
        for number, name in enumerate(places, 1)
    }
    try:
        for host in hosts.values():
            await host.start()
        await acquainted(hosts)
        yield hosts
    finally:
        for host in hosts.values():
            await host.stop()


async def acquainted(hosts: Mapping[str, Host]) -> None:
    """Return once all know each other; heartbeats say the same, every 5 s."""
    for host in hosts.values():
        await host.bus.wait_connected(Deadline.after(LIMIT))

    def are() -> bool:
        names = {host.name for host in hosts.values()}
        return all({record.host for record in host.router.owners()} == names for host in hosts.values())

    for _ in range(int(LIMIT / 0.3)):
        for host in hosts.values():
            host.announce()
        if await comes_true(are, 0.3):
            return
    raise TimeoutError("they do not know each other")


async def comes_true(condition: Callable[[], bool], seconds: float = LIMIT) -> bool:
    """Whether it does, in time."""
    until = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > until:
            return False
        await asyncio.sleep(0.01)
    return True


def kills(host: Host) -> int:
    """How many lives it has ended."""
    deeds = [record for record in host.disk.records if isinstance(record, Deed)]
    return len([deed for deed in deeds if deed.observation and deed.observation.was is VmState.RUNNING])


async def sends_only(bus: Bus, allowed: Sequence[Address], refused: Iterable[Address]) -> None:
    """What a user's rights come to where it sends, and that a refusal takes nothing else with it; asserts it."""
    async with running(bus):
        for to in allowed:
            await bus.send(to, BusMessage(ttl=0.001), Deadline.after(LIMIT), Priority.COMMAND)
        for to in refused:
            with pytest.raises(BusRefused):
                await bus.send(to, BusMessage(), Deadline.after(LIMIT), Priority.COMMAND)
        await bus.send(allowed[0], BusMessage(ttl=0.001), Deadline.after(LIMIT), Priority.COMMAND)


async def ask_everything(asker: Host, owner: Host, number: int) -> None:
    """Off, on, reboot and status of a VM of another host, each with its truth; asserts it."""
    for action, reason, state in (
        (Action.OFF, Reason.PROVEN_OFF, VmState.OFF),
        (Action.STATUS, Reason.STATUS_OFF, VmState.OFF),
        (Action.OFF, Reason.ALREADY_OFF, VmState.OFF),
        (Action.ON, Reason.STARTED, VmState.RUNNING),
        (Action.REBOOT, Reason.REBOOTED, VmState.RUNNING),
    ):
        answer = await asker.ask(action, f"vm{number}", seconds=20)
        until = asyncio.get_running_loop().time() + LIMIT
        while action is Action.STATUS and answer.outcome.reason is not reason:  # what changed comes by another link
            assert asyncio.get_running_loop().time() < until
            answer = await asker.ask(action, f"vm{number}", seconds=20)
        assert answer.outcome.reason is reason, answer.outcome
        assert await owner.state(number) is state
        await asyncio.sleep(0.02)  # what began a moment ago is younger than a request of the same moment


async def succeeds_at_last(asker: Host, owner: Host, number: int) -> None:
    """Once whatever was broken has healed, the fence succeeds."""
    outcomes = []
    for _ in range(10):
        answer = await asker.ask(Action.OFF, f"vm{number}", seconds=5)
        outcomes.append(answer.outcome)
        if answer.outcome.ok:
            assert await owner.state(number) is VmState.OFF
            return
        asker.announce()
        owner.announce()
    raise AssertionError(outcomes)
