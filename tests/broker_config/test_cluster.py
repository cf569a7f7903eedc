"""Hosts at the nodes of a cluster of three, on rendered settings: fences while a node stands still, or dies."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.bus import Address, BusMessage, Priority, direct_exchange
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, VmState
from tests.broker_config.hosts import LIMIT, ask_everything, comes_true, hosts_at, kills, succeeds_at_last
from tests.rabbitmq_rendered import Brokers
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("clustered-brokers"), pytest.mark.timeout(300)]

SPREAD = {"host1": (0, 2, 1), "host2": (1, 2, 0), "host3": (2, 0, 1)}
"""Each host at a node of its own; with the others' to go to."""


async def test_hosts_at_different_nodes_fence_each_others_vms(cluster: Brokers) -> None:
    async with hosts_at(cluster, SPREAD) as hosts:
        listed = (await hosts["host1"].ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2", "vm3"]
        await ask_everything(hosts["host1"], hosts["host2"], 2)


def test_rabbitmqs_own_program_sees_three_nodes_as_the_page_says(cluster: Brokers) -> None:
    said = cluster.nodes[0].control("cluster_status")
    running_nodes = said.partition("Running Nodes")[2].partition("Versions")[0]
    assert all(broker.name in running_nodes for broker in cluster.site.brokers)


async def test_a_message_keeps_its_content_its_sender_and_its_order_between_nodes(cluster: Brokers) -> None:
    one, other = cluster.client("host1", 0), cluster.client("host2", 1)
    heard: list[BusMessage] = []
    numbered = Address(direct_exchange(), "numbered")
    other.subscribe(numbered, heard.append)
    async with running(one), running(other):
        for number in range(50):
            message = BusMessage(b"%d" % number, headers=(("text", "x"),), reply_to=one.own, correlation_id="c")
            await one.send(numbered, message, Deadline.after(LIMIT), Priority.COMMAND)
        assert await comes_true(lambda: len(heard) == 50)
    assert [int(message.body) for message in heard] == list(range(50))
    assert {(message.user_id, message.reply_to, message.to) for message in heard} == {("host1", one.own, numbered)}


async def test_a_node_that_stands_still_for_a_while_delays_a_fence_and_no_more(cluster: Brokers) -> None:
    async with hosts_at(cluster, SPREAD) as hosts:
        with cluster.nodes[1].frozen():
            fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=20))
            await asyncio.sleep(1.0)
            assert not fence.done()
            assert await hosts["host2"].state(2) is VmState.RUNNING
        answer = await fence
        assert answer.outcome.ok, answer.outcome
        assert kills(hosts["host2"]) == 1


async def test_where_a_node_dies_in_mid_fence_its_host_goes_to_another_and_nothing_is_killed_twice(
    cluster: Brokers,
) -> None:
    """The last one here: it leaves two nodes."""
    async with hosts_at(cluster, SPREAD) as hosts:
        fence = asyncio.create_task(hosts["host1"].ask(Action.OFF, "vm2", seconds=20))
        await asyncio.sleep(0.003)
        cluster.nodes[1].kill()
        answer = await fence
        if answer.outcome.ok:
            assert await hosts["host2"].state(2) is VmState.OFF
        else:
            assert "vm2" in answer.outcome.text
        await succeeds_at_last(hosts["host1"], hosts["host2"], 2)
        assert kills(hosts["host2"]) == 1
        await ask_everything(hosts["host2"], hosts["host3"], 3)
