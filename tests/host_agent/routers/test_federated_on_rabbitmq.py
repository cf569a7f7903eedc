"""A fence across hosts over a real RabbitMQ: what it carries, and what happens when it fails in the middle."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.bus import Bus
from fencebus_agent.kombu_bus import KombuBus
from fencebus_host.effects import Deed
from fencebus_schemas.model import Action, HostId, Reason, VmState
from tests.host_agent.federated_site import BusFactory, Host, described, site, until, vm
from tests.rabbitmq import RabbitMq

pytestmark = pytest.mark.xdist_group("rabbitmq")

TWO = {"host1": [described(1)], "host2": [described(2)]}


def clients(broker: RabbitMq) -> BusFactory:
    """Each host is a user of its own name."""

    def made(name: HostId) -> Bus:
        return KombuBus(broker.url(name))

    return made


def kills(host: Host) -> int:
    """How many lives it has ended."""
    deeds = [record for record in host.disk.records if isinstance(record, Deed)]
    return len([deed for deed in deeds if deed.observation and deed.observation.was is VmState.RUNNING])


async def test_off_on_reboot_status_and_list_reach_a_vm_of_another_host(rabbitmq: RabbitMq) -> None:
    async with site(TWO, bus=clients(rabbitmq)) as (_, hosts):
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


async def test_what_happens_to_a_vm_is_known_to_the_other_host_at_once(rabbitmq: RabbitMq) -> None:
    async with site(TWO, bus=clients(rabbitmq)) as (_, hosts):
        hosts["host2"].hypervisor.happen(vm(2), VmState.OFF)
        await until(lambda: _seen(hosts["host1"], "vm2") is VmState.OFF)


def _seen(host: Host, name: str) -> VmState:
    return next(record.state for record in host.router.owners() if record.name == name)


async def test_a_broker_that_stands_still_for_a_while_delays_a_fence_and_no_more(rabbitmq: RabbitMq) -> None:
    async with site(TWO, bus=clients(rabbitmq)) as (_, hosts):
        with rabbitmq.frozen():
            fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=20))
            await asyncio.sleep(2.0)
            assert not fence.done()
            assert await hosts["host2"].state(2) is VmState.RUNNING
        answer = await fence
        assert answer.outcome.ok
        assert await hosts["host2"].state(2) is VmState.OFF
        assert kills(hosts["host2"]) == 1


async def test_a_fence_in_whose_midst_the_broker_dies_ends_with_the_truth_and_kills_once(rabbitmq: RabbitMq) -> None:
    async with site(TWO, bus=clients(rabbitmq)) as (_, hosts):
        fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=3))
        await asyncio.sleep(0.002)
        rabbitmq.kill()
        restarting = asyncio.create_task(asyncio.to_thread(rabbitmq.start))
        answer = await fence
        if answer.outcome.ok:
            assert await hosts["host2"].state(2) is VmState.OFF
        else:
            assert "vm2" in answer.outcome.text
        again = await hosts["host1"].ask(Action.OFF, "vm2", seconds=25)
        await restarting
        assert again.outcome.ok, again.outcome
        assert await hosts["host2"].state(2) is VmState.OFF
        assert kills(hosts["host2"]) == 1
