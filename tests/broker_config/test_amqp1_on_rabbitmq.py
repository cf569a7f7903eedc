"""Hosts that were rendered to speak AMQP 1.0 at two federated RabbitMQs, alone and beside others on 0-9-1."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.bus import Address, Bus, BusMessage, BusUnreachable, Priority
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action
from fencebus_schemas.qmf2_names import LOCATE_KEY
from tests.broker_config.hosts import LIMIT, ask_everything, comes_true, hosts_at, sends_only
from tests.broker_config.test_rights_on_rabbitmq import AGENT2, ALL_HOSTS, DIRECT, TOPIC, beat
from tests.rabbitmq_rendered import Brokers
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]


async def test_three_hosts_fence_each_others_vms(federation: Brokers) -> None:
    async with hosts_at(federation, {"host4": (0,), "host5": (1,), "host6": (0, 1)}) as hosts:
        listed = (await hosts["host4"].ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2", "vm3"]
        await ask_everything(hosts["host4"], hosts["host5"], 2)
        await ask_everything(hosts["host6"], hosts["host4"], 1)


async def test_hosts_on_both_versions_fence_each_others_vms(federation: Brokers) -> None:
    async with hosts_at(federation, {"host1": (0,), "host2": (1,), "host4": (1,), "host5": (0,)}) as hosts:
        await ask_everything(hosts["host1"], hosts["host4"], 3)
        await ask_everything(hosts["host5"], hosts["host2"], 2)


async def test_a_host_sends_where_it_has_to_and_never_as_another(federation: Brokers) -> None:
    allowed = (
        ALL_HOSTS,
        Address(DIRECT, "fencebus.host.host5"),
        beat("host4"),
        Address(TOPIC, "direct-console.watcher.1"),
    )
    refused = (beat("host5"), beat("host44"), Address(TOPIC, LOCATE_KEY), AGENT2, Address("amq.direct", "x"))
    await sends_only(federation.bus("host4", 0), allowed, refused)


async def test_others_are_told_who_sends(federation: Brokers) -> None:
    one, other = federation.bus("host4", 0), federation.bus("host2", 1)
    heard: list[BusMessage] = []
    place = Address(DIRECT, "told")
    other.subscribe(place, heard.append)
    async with running(one), running(other):
        for _ in range(int(LIMIT / 0.1)):  # the other broker has to learn first what is bound here
            await one.send(place, BusMessage(b"x", ttl=5.0), Deadline.after(LIMIT), Priority.COMMAND)
            if await comes_true(lambda: bool(heard), 0.1):
                break
    assert heard[0].user_id == "host4"


async def test_a_host_does_not_hear_what_is_for_another(federation: Brokers) -> None:
    buses = []
    for binding in (AGENT2, Address(TOPIC, "#"), Address("amq.topic", "#")):
        buses.append(federation.bus("host4", 0))
        buses[-1].subscribe(binding, lambda _message: None)
    await stay_outside(*buses)


async def test_whoever_is_not_that_host_is_not_let_in(federation: Brokers) -> None:
    url, login = federation.url("host4", 0), f"host4:{federation.password('host4')}@"
    logins = (
        f"host4:{federation.password('host5')}@",
        "",  # nobody in particular
        # A host that was rendered for 0-9-1 has no right to queues whose names the broker draws.
        f"host1:{federation.password('host1')}@",
    )
    terms = BusTerms(tls=federation.terms("host4").tls)
    await stay_outside(*(bus_at(url.replace(login, other), terms) for other in logins))


async def stay_outside(*buses: Bus) -> None:
    """None is let in.  Why is lost where the broker resets the connection behind its last words, after 3 s."""
    async with asyncio.TaskGroup() as group:
        for bus in buses:
            group.create_task(_stays_outside(bus))


async def _stays_outside(bus: Bus) -> None:
    task = asyncio.create_task(bus.run())
    try:
        async with asyncio.timeout(LIMIT):
            said = ""
            while not said or "not connected yet" in said:
                with pytest.raises(BusUnreachable) as raised:
                    await bus.wait_connected(Deadline.after(0.05))
                said = str(raised.value)
    finally:
        await bus.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
