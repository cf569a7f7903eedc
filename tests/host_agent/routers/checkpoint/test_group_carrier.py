"""Messages between hosts over real corosync: who gets them, who is told of joins, losses, quorum and restarts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from fencebus_host.routers.checkpoint.group_carrier import GroupCarrier
from fencebus_host.routers.federated.carrier import Link
from fencebus_schemas.model import HostId, Incarnation, RequestId, Uuid, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Fetch, Inventory, Lift, Message
from tests.corosync import Cluster, Node

pytestmark = pytest.mark.xdist_group("corosync")

KEY = b"the hosts' own key"
NOW = Incarnation("boot", "machine", "1")
VM = Uuid("00000001-0000-4000-8000-000000000000")


@dataclass
class Host:
    """A carrier on a node, and all that it brought."""

    carrier: GroupCarrier
    heard: list[Message] = field(default_factory=list)
    connects: int = 0
    gone: list[HostId] = field(default_factory=list)
    quorums: list[bool] = field(default_factory=list)

    def departed(self, host: HostId) -> None:
        self.gone.append(host)

    def quorum(self, stands: bool) -> None:
        self.quorums.append(stands)

    def connected(self) -> None:
        self.connects += 1

    @property
    def is_in(self) -> bool:
        return self.connects > 0 and self.quorums[-1]


@asynccontextmanager
async def host(node: Node, key: bytes = KEY) -> AsyncIterator[Host]:
    """A host on a node, in the group and quorate."""
    made = Host(GroupCarrier(HostId(node.name), (key,) if key else (), connect=node.connect))
    made.carrier.watch(made)
    running = asyncio.create_task(made.carrier.run(made.heard.append, made.connected))
    try:
        await until(lambda: made.is_in)
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait for a condition."""
    for _ in range(int(seconds * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it did not happen within {seconds} s")


def fetch(sender: str, to: str = EVERYONE) -> Fetch:
    return Fetch(HostId(sender), NOW, HostId(to))


async def test_a_message_to_all_comes_to_all_others_and_one_to_a_host_to_it_alone(three: Cluster) -> None:
    async with host(three.nodes[0]) as first, host(three.nodes[1]) as second, host(three.nodes[2]) as third:
        first.carrier.send(fetch("node1"))
        first.carrier.send(fetch("node1", "node2"))
        first.carrier.send(fetch("node1"))
        await until(lambda: len(second.heard) == 3 and len(third.heard) == 2)
        assert second.heard == [fetch("node1"), fetch("node1", "node2"), fetch("node1")]
        assert third.heard == [fetch("node1"), fetch("node1")]
        assert first.heard == []


async def test_an_inventory_of_megabytes_arrives_whole_and_commands_overtake_it(three: Cluster) -> None:
    records = tuple(record(number) for number in range(20_000))
    inventory = Inventory(HostId("node1"), NOW, EVERYONE, 1, "digest", records, (HostId("node1"),), ())
    lift = Lift(HostId("node1"), NOW, HostId("node2"), RequestId("0" * 32), VM)
    async with host(three.nodes[0]) as first, host(three.nodes[1]) as second:
        first.carrier.send(inventory)
        first.carrier.send(lift)
        await until(lambda: len(second.heard) == 2)
        assert second.heard[0] == lift
        assert second.heard[1] == inventory


async def test_who_has_not_the_key_is_neither_heard_nor_counted(
    three: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with host(three.nodes[0]) as first:
        async with host(three.nodes[1], key=b"another key") as stranger:
            for _ in range(5):
                stranger.carrier.send(fetch("node2"))
            await until(lambda: "a message in the group was dropped" in caplog.text)
        assert first.heard == []
        assert first.gone == []
    assert caplog.text.count("was dropped: signature") <= 1


async def test_everybody_is_told_when_somebody_joins_and_at_once_when_somebody_leaves(three: Cluster) -> None:
    async with host(three.nodes[0]) as first:
        before = first.connects
        async with host(three.nodes[1]) as second:
            await until(lambda: first.connects > before)
            second.carrier.send(fetch("node2"))
            await until(lambda: first.heard != [])
        await until(lambda: first.gone == ["node2"])


async def test_a_corosync_that_is_killed_ends_the_quorum_and_is_joined_again_when_it_is_back(three: Cluster) -> None:
    node = three.nodes[0]
    async with host(node) as first, host(three.nodes[1]) as second:
        for one in (first, second):
            one.carrier.send(fetch("node1" if one is first else "node2"))
        await until(lambda: bool(first.heard and second.heard))
        await asyncio.to_thread(node.kill_corosync)
        await until(lambda: first.quorums[-1] is False and first.gone == ["node2"])
        await until(lambda: second.gone == ["node1"])
        assert first.carrier.trouble
        assert first.carrier.link == Link("corosync", False, False)
        first.carrier.send(fetch("node1"))  # lost, without a word
        before = first.connects
        node.corosync.start()
        await until(lambda: first.connects > before and first.quorums[-1])
        assert first.carrier.trouble is None
        assert first.carrier.link == Link("corosync", True, True)
        second.heard.clear()
        first.carrier.send(fetch("node1", "node2"))
        await until(lambda: second.heard == [fetch("node1", "node2")])


async def test_a_frozen_corosync_holds_up_neither_the_loop_nor_the_end_of_the_daemon(three: Cluster) -> None:
    node = three.nodes[0]
    async with host(node) as first:
        node.corosync.send(signal.SIGSTOP)
        try:
            for _ in range(20_000):
                first.carrier.send(fetch("node1"))
            await asyncio.sleep(0.05)
        finally:
            node.corosync.send(signal.SIGCONT)
        await asyncio.to_thread(three.wait_quorate)


async def test_a_host_that_is_cut_off_loses_the_quorum_and_the_others_lose_the_host(three: Cluster) -> None:
    async with host(three.nodes[0]) as first, host(three.nodes[1]) as second, host(three.nodes[2]) as third:
        first.carrier.send(fetch("node1"))
        await until(lambda: bool(second.heard and third.heard))
        three.cut(three.nodes[0])
        try:
            await until(lambda: first.quorums[-1] is False)
            assert first.carrier.trouble == "this part of the cluster has no quorum"
            assert first.carrier.link == Link("corosync", True, False)
            await until(lambda: second.gone == ["node1"] == third.gone)
            assert (second.quorums[-1], third.quorums[-1]) == (True, True)
        finally:
            three.mend(three.nodes[0])
        await until(lambda: first.quorums[-1])


async def test_keys_change_while_it_runs(three: Cluster) -> None:
    async with host(three.nodes[0]) as first, host(three.nodes[1]) as second:
        first.carrier.renew((b"new", KEY))
        second.carrier.send(fetch("node2"))
        await until(lambda: first.heard == [fetch("node2")])
        second.carrier.renew((KEY, b"new"))
        first.carrier.send(fetch("node1"))
        await until(lambda: second.heard == [fetch("node1")])


async def test_without_a_key_what_the_nodes_have_in_common_is_one(three: Cluster) -> None:
    async with host(three.nodes[0], key=b"") as first, host(three.nodes[1], key=b"") as second:
        first.carrier.send(fetch("node1"))
        await until(lambda: second.heard == [fetch("node1")])


def record(number: int) -> VmRecord:
    uuid = Uuid(f"{number:08x}-0000-4000-8000-000000000000")
    return VmRecord(uuid, f"a rather long name of a VM {number}", VmState.RUNNING, HostId("node1"), NOW)
