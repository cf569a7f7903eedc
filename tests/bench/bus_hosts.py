"""Runs three daemons on one RabbitMQ, with VMs on libvirt's test driver, and measures what they do for each other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.bus import Address, BusMessage
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_schemas.xvm import ACTION_OFF, ACTION_ON, ACTION_STATUS
from tests.bench.load import Aim, Tally, ask_each, ask_for
from tests.bench.rivals import Transport
from tests.daemon_process import KEY
from tests.interop.bus_site import BusHost, BusSite
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import running

NAMES = ("host1", "host2", "host3")
MANY = 100
"""VMs of the second host, which the first one's guests have fenced."""
REST = 1.0
"""Seconds before the next turn: what was started a moment ago is younger than a request, and so is not killed (S12)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """What hosts say while nothing happens."""

    seconds: float
    messages: int
    octets: int
    hosts: int

    @property
    def per_host_and_5_seconds(self) -> float:
        """Messages of one host in the time between two heartbeats."""
        return self.messages / self.hosts / self.seconds * 5


class BusHosts:
    """Three daemons that know each other."""

    def __init__(self, site: BusSite, hosts: Sequence[BusHost]) -> None:
        self._site, self.hosts = site, hosts

    def fences(self, in_flight: int) -> tuple[Tally, Tally]:
        """Off, then on again, of all VMs of the second host, asked at the first; so many at a time."""
        off = ask_each(self._aims(ACTION_OFF, MANY), in_flight)
        time.sleep(REST)
        on = ask_each(self._aims(ACTION_ON, MANY), in_flight)
        time.sleep(REST)
        return off, on

    def processor_seconds(self) -> tuple[float, ...]:
        """What each daemon has used so far."""
        return tuple(_processor_seconds(host.daemon.process.pid) for host in self.hosts)

    def statuses(self, in_flight: int, seconds: float) -> Tally:
        """Of one VM of the second host, asked at the first, over and over."""
        return ask_for(self._aims(ACTION_STATUS, 1)[0], in_flight, seconds)

    def _aims(self, action: int, count: int) -> list[Aim]:
        port = self.hosts[0].daemon.port
        return [Aim(Transport.TCP, port, KEY, vm_of(2, number), action) for number in range(count)]

    def idle(self, seconds: float) -> Idle:
        """What passes the broker's exchanges."""
        return asyncio.run(self._listen(seconds))

    async def _listen(self, seconds: float) -> Idle:
        bus = KombuBus(self._site.broker.url("asker"), Terms(self._site.domain))
        sizes: list[int] = []

        def heard(message: BusMessage) -> None:
            sizes.append(len(message.body))

        bus.subscribe(Address(self._site.everybody.exchange, "#"), heard)
        for host in self.hosts:
            bus.subscribe(self._site.address(host.name), heard)
        async with running(bus):
            await asyncio.sleep(seconds)
        return Idle(seconds, len(sizes), sum(sizes), len(self.hosts))

    def silence(self) -> float:
        """Seconds from the death of the third host's daemon until the first one calls its VM unknown."""
        first, third = self.hosts[0], self.hosts[2]
        third.daemon.process.process.kill()
        began = time.monotonic()
        aim = Aim(Transport.TCP, first.daemon.port, KEY, vm_of(3, 0), ACTION_STATUS)
        while not ask_each([aim], 1).errors:
            time.sleep(0.05)
            if time.monotonic() - began > 60:
                raise TimeoutError("nobody notices")
        return time.monotonic() - began


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def vm_of(host: int, number: int) -> str:
    """The name of a host's VM."""
    return f"node{1000 * host + number}"


@contextmanager
def bus_hosts(broker: RabbitMq, folder: Path) -> Iterator[BusHosts]:
    """The daemons, as long as the context lasts."""
    site = BusSite(folder, broker, NAMES)
    counts = {1: 1, 2: MANY, 3: 1}
    hosts = [
        site.host(
            name,
            {
                vm_of(number, each): f"52:54:00:0{number}:{each >> 8:02x}:{each & 255:02x}"
                for each in range(counts[number])
            },
        )
        for number, name in enumerate(NAMES, 1)
    ]
    with ExitStack() as stack:
        for host in hosts:
            stack.enter_context(host.daemon)
        for host in hosts:
            host.daemon.wait_ready()
        hosts[0].knows(vm_of(1, 0), vm_of(2, 0), vm_of(2, MANY - 1), vm_of(3, 0))
        yield BusHosts(site, hosts)
