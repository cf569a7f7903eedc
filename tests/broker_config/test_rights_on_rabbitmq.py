"""What a real RabbitMQ refuses on rendered settings: a host that speaks for another, a console that commands."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fencebus_agent.bus import (
    Address,
    BusMessage,
    BusRefused,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_console import QmfConsole
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_broker import rights
from fencebus_schemas.bus_url import Tls
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId
from fencebus_schemas.qmf2_classes import NODE
from fencebus_schemas.qmf2_names import LOCATE_KEY
from tests.broker_config.hosts import LIMIT, comes_true, sends_only
from tests.rabbitmq_rendered import OPERATOR, Brokers
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]

TOPIC, DIRECT = topic_exchange(), direct_exchange()
ALL_HOSTS = Address(TOPIC, "fencebus.hosts")
HOST2 = Address(DIRECT, "fencebus.host.host2")
AGENT2 = Address(TOPIC, "direct-agent.route.host2")
LOCATE = Address(TOPIC, LOCATE_KEY)


def beat(host: str) -> Address:
    return Address(TOPIC, rights.agent(host).heartbeat_key)


ALLOWED = {
    "host1": (ALL_HOSTS, HOST2, beat("host1"), Address(TOPIC, "direct-console.watcher.1")),
    "watcher": (LOCATE,),
    OPERATOR: (LOCATE, AGENT2),
}
REFUSED = {
    "host1": (beat("host2"), beat("host11"), LOCATE, AGENT2, Address("amq.topic", "x"), Address("amq.direct", "x")),
    "watcher": (ALL_HOSTS, HOST2, AGENT2, beat("host1"), Address("amq.topic", "x")),
    OPERATOR: (ALL_HOSTS, HOST2, beat("host1")),
}


@pytest.mark.parametrize("user", ALLOWED)
async def test_a_user_sends_where_it_has_to_and_nowhere_else(federation: Brokers, user: str) -> None:
    await sends_only(federation.client(user, 0), ALLOWED[user], REFUSED[user])


@pytest.mark.parametrize(
    ("user", "binding"),
    (
        ("host1", Address(TOPIC, "direct-agent.route.host2")),
        ("host1", Address(TOPIC, "#")),
        ("watcher", Address(TOPIC, "fencebus.hosts")),
        ("watcher", Address(TOPIC, "direct-agent.#")),
        (OPERATOR, Address(TOPIC, "direct-console.watcher.#")),
    ),
)
async def test_a_user_does_not_hear_what_is_for_another(federation: Brokers, user: str, binding: Address) -> None:
    bus = federation.client(user, 0)
    bus.subscribe(binding, lambda _message: None)
    await stays_outside(bus, "403")


async def test_nobody_sends_in_anothers_name(federation: Brokers) -> None:
    bus = federation.client("host1", 0)
    forged = BusMessage(user_id="host2")
    async with running(bus):
        with pytest.raises(BusRefused):
            await bus.send(ALL_HOSTS, forged, Deadline.after(LIMIT), Priority.COMMAND)


@pytest.mark.parametrize("what", ("another password", "no certificate", "a stranger", "no TLS"))
async def test_whoever_lacks_one_of_both_keys_is_not_let_in(federation: Brokers, what: str) -> None:
    url, terms = federation.url("host1", 0), federation.terms("host1")
    if what == "another password":
        url = url.replace(federation.password("host1"), federation.password("host2"))
    elif what == "a stranger":
        url = url.replace(f"host1:{federation.password('host1')}", "guest:guest")
    elif what == "no TLS":
        url = url.replace("amqps:", "amqp:")
    else:
        terms = Terms(tls=Tls(terms.tls.ca_file))
    await stays_outside(KombuBus(url, replace(terms, connect_timeout=1.0)), "")


async def stays_outside(bus: KombuBus, why: str) -> None:
    """It is not let in, for this reason."""
    task = asyncio.create_task(bus.run())
    try:
        assert await comes_true(lambda: bus._standing.trouble != "not connected yet")
        assert why in bus._standing.trouble
        assert not bus._standing.connected
    finally:
        await bus.close()
        await task


async def test_a_watcher_at_one_broker_sees_the_agent_at_the_other(federation: Brokers) -> None:
    speaking, looking = federation.client("host2", 1), federation.client("watcher", 0)
    agent = QmfAgent(speaking, AgentTerms(HostId("host2"), epoch=1))
    agent.put(NODE, "node", {"hostname": "host2", "uri": "test:///default"})
    console = QmfConsole(looking)
    async with running(speaking), running(looking), asyncio.TaskGroup() as group:
        tasks = [group.create_task(agent.run()), group.create_task(console.run())]
        name = str(agent.name)
        try:
            assert await comes_true(lambda: console.picture.agent(name) is not None)
        finally:
            for task in tasks:
                task.cancel()
