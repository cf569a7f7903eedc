"""Hosts at two federated brokers, on settings as they are rendered: fences, and what happens when something is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fencebus_agent.bus import Address, Bus, BusMessage, Priority, direct_exchange, topic_exchange
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, VmState
from tests.broker_config.hosts import LIMIT, ask_everything, comes_true, hosts_at, kills, succeeds_at_last
from tests.rabbitmq_rendered import Brokers
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]

APART = {"host1": (0,), "host2": (1,)}


async def test_a_host_at_one_broker_fences_a_vm_of_a_host_at_the_other(federation: Brokers) -> None:
    async with hosts_at(federation, APART) as hosts:
        listed = (await hosts["host1"].ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2"]
        await ask_everything(hosts["host1"], hosts["host2"], 2)
        await ask_everything(hosts["host2"], hosts["host1"], 1)


async def test_while_the_link_is_cut_a_fence_fails_and_nothing_of_it_is_carried_out_later(federation: Brokers) -> None:
    async with hosts_at(federation, APART) as hosts:
        federation.links.shut(True)
        try:
            answer = await hosts["host1"].ask(Action.OFF, "vm2", seconds=3)
        finally:
            federation.links.shut(False)
        assert not answer.outcome.ok
        assert "host2" in answer.outcome.text
        assert kills(hosts["host2"]) == 0
        await _in_touch(hosts["host1"].bus, hosts["host2"].bus)
        assert await hosts["host2"].state(2) is VmState.RUNNING
        await succeeds_at_last(hosts["host1"], hosts["host2"], 2)
        assert kills(hosts["host2"]) == 1


async def test_a_link_that_is_cut_in_mid_fence_makes_no_lie_of_it(federation: Brokers) -> None:
    async with hosts_at(federation, APART) as hosts:
        fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=3))
        await asyncio.sleep(0.003)
        federation.links.shut(True)
        answer = await fence
        federation.links.shut(False)
        if answer.outcome.ok:
            assert await hosts["host2"].state(2) is VmState.OFF
        await _in_touch(hosts["host1"].bus, hosts["host2"].bus)
        await succeeds_at_last(hosts["host1"], hosts["host2"], 2)
        assert kills(hosts["host2"]) == 1


async def test_the_other_hosts_broker_standing_still_delays_a_fence_and_no_more(federation: Brokers) -> None:
    async with hosts_at(federation, APART) as hosts:
        with federation.nodes[1].frozen():
            fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=20))
            await asyncio.sleep(1.0)
            assert not fence.done()
            assert await hosts["host2"].state(2) is VmState.RUNNING
        answer = await fence
        assert answer.outcome.ok, answer.outcome
        assert await hosts["host2"].state(2) is VmState.OFF
        assert kills(hosts["host2"]) == 1


async def test_a_message_keeps_its_content_its_sender_and_its_order_on_the_way(federation: Brokers) -> None:
    one, other = federation.client("host1", 0), federation.client("host2", 1)
    heard: list[BusMessage] = []
    numbered = Address(direct_exchange(), "numbered")
    other.subscribe(numbered, heard.append)
    async with running(one), running(other):
        await _in_touch(one, other)
        for number in range(50):
            message = BusMessage(
                b"%d" % number, headers=(("text", "x"),), reply_to=one.own, correlation_id="c", ttl=9.0
            )
            await one.send(numbered, message, Deadline.after(LIMIT), Priority.COMMAND)
        assert await comes_true(lambda: len(heard) == 50)
    assert [int(message.body) for message in heard] == list(range(50))
    last = heard[-1]
    assert (last.header("text"), last.reply_to, last.correlation_id, last.to) == ("x", one.own, "c", numbered)
    assert {message.user_id for message in heard} == {"host1"}


async def test_what_goes_to_all_hosts_comes_once_to_each_wherever_it_is(federation: Brokers) -> None:
    everywhere = Address(topic_exchange(), "fencebus.hosts")
    buses = [federation.client(name, at) for name, at in (("host1", 0), ("host2", 1), ("host3", 0))]
    heard: list[list[bytes]] = [[], [], []]
    for bus, sink in zip(buses, heard, strict=True):
        bus.subscribe(everywhere, _bodies_into(sink))
    async with running(buses[0]), running(buses[1]), running(buses[2]):
        await _in_touch(buses[0], buses[1])
        await _in_touch(buses[1], buses[0])
        await buses[1].send(everywhere, BusMessage(b"to all"), Deadline.after(LIMIT), Priority.COMMAND)
        assert await comes_true(lambda: all(b"to all" in sink for sink in heard))
        await asyncio.sleep(0.1)  # a second one would have come
    assert [sink.count(b"to all") for sink in heard] == [1, 1, 1]


def _bodies_into(sink: list[bytes]) -> Callable[[BusMessage], None]:
    return lambda message: sink.append(message.body)


async def _in_touch(one: Bus, other: Bus) -> None:
    """Return once messages pass, there and back: a link learns of what is bound a moment after it is."""
    for sender, receiver in ((one, other), (other, one)):
        came: list[bytes] = []
        receiver.subscribe(receiver.own, _bodies_into(came))
        async with asyncio.timeout(LIMIT):
            while b"touch" not in came:
                await sender.send(receiver.own, BusMessage(b"touch"), Deadline.after(LIMIT), Priority.COMMAND)
                await asyncio.sleep(0.05)
