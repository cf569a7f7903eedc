"""A fence across hosts over AMQP 1.0 on a real RabbitMQ, and over direct links; and hosts on both versions of AMQP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from fencebus_agent.amqp1_bus import Amqp1Bus
from fencebus_agent.bus import Bus
from fencebus_agent.kombu_bus import KombuBus
from fencebus_agent.peers_bus import PeersBus
from fencebus_schemas.model import Action, HostId, Reason, VmState
from tests.amqp1_site import make_exchanges, url
from tests.host_agent.federated_site import BusFactory, described, site
from tests.ports import free_tcp_port
from tests.rabbitmq import RabbitMq

pytestmark = pytest.mark.xdist_group("rabbitmq")

TWO = {"host1": [described(1)], "host2": [described(2)]}
KEY = b"the hosts' own key"


def on_amqp1(broker: RabbitMq) -> BusFactory:
    """Each host is a user of its own name."""
    return lambda name: Amqp1Bus(url(broker, name))


def on_both(broker: RabbitMq) -> BusFactory:
    """The first host speaks AMQP 0-9-1, the second one AMQP 1.0."""

    def made(name: HostId) -> Bus:
        return KombuBus(broker.url(name)) if name == "host1" else Amqp1Bus(url(broker, name))

    return made


def direct() -> BusFactory:
    """Without a broker."""
    there = "peers://" + ",".join(f"{name}@127.0.0.1:{free_tcp_port()}" for name in TWO)
    return lambda name: PeersBus(there, name, (KEY,))


MADE: dict[str, Callable[[RabbitMq], BusFactory]] = {"amqp1": on_amqp1, "both": on_both}


@pytest.fixture(params=("amqp1", "both", "peers"))
async def buses(request: pytest.FixtureRequest) -> AsyncIterator[BusFactory]:
    """One kind of bus after the other."""
    if request.param == "peers":
        yield direct()
        return
    broker = request.getfixturevalue("rabbitmq")
    assert isinstance(broker, RabbitMq)
    await make_exchanges(broker)
    yield MADE[request.param](broker)


async def test_off_on_reboot_status_and_list_reach_a_vm_of_another_host(buses: BusFactory) -> None:
    async with site(TWO, bus=buses) as (_, hosts):
        first, owner = hosts["host1"], hosts["host2"]
        listed = (await first.ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2"]
        for action, reason, state in (
            (Action.OFF, Reason.PROVEN_OFF, VmState.OFF),
            (Action.STATUS, Reason.STATUS_OFF, VmState.OFF),
            (Action.OFF, Reason.ALREADY_OFF, VmState.OFF),
            (Action.ON, Reason.STARTED, VmState.RUNNING),
            (Action.REBOOT, Reason.REBOOTED, VmState.RUNNING),
        ):
            answer = await first.ask(action, "vm2", seconds=20)
            assert answer.outcome.reason is reason, answer.outcome
            assert await owner.state(2) is state
            if action is Action.ON:
                await asyncio.sleep(0.3)  # what began a moment ago is younger than a request of the same moment
        assert await first.state(1) is VmState.RUNNING
        answer = await owner.ask(Action.OFF, "vm1", seconds=20)
        assert answer.outcome.reason is Reason.PROVEN_OFF, answer.outcome


async def test_a_fence_of_a_vm_whose_host_fell_silent_fails_and_names_the_host(buses: BusFactory) -> None:
    async with site(TWO, bus=buses) as (_, hosts):
        await hosts["host2"].stop()
        answer = await hosts["host1"].ask(Action.OFF, "vm2", seconds=1.2)
        assert not answer.outcome.ok
        assert "host2" in answer.outcome.text
        assert await hosts["host2"].state(2) is VmState.RUNNING
