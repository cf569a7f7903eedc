"""What a guest gets over TCP and multicast, IPv4 and IPv6, when it speaks rightly."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.config.model import Group
from fencebus_host.policy import Policy
from fencebus_schemas.digest import HASH_NONE, HASH_SHA1, HASH_SHA512
from fencebus_schemas.model import Action, Uuid, VmState
from fencebus_schemas.xvm import REPLY_DENIED, REPLY_FAILURE, REPLY_OFF, REPLY_SUCCESS
from tests.elapsed import Stopwatch
from tests.host_agent.listeners.house import HERE, KEY, SECRET, House, beside, guest_at, open_house
from tests.namespaces import link6, own_network
from tests.protocol_client import Conversation, Guest, Reply, Secret, ask_tcp, at_once, connect, signed

DIALOGUE = (
    (Action.STATUS, "node1", REPLY_SUCCESS),
    (Action.OFF, "node1", REPLY_SUCCESS),
    (Action.STATUS, "node1", REPLY_OFF),
    (Action.REBOOT, "node1", REPLY_SUCCESS),
    (Action.STATUS, "node1", REPLY_OFF),
    (Action.ON, "node1", REPLY_SUCCESS),
    (Action.STATUS, "node1", REPLY_SUCCESS),
    (Action.REBOOT, "11111111-1111-1111-1111-111111111111", REPLY_SUCCESS),
    (Action.STATUS, "node1", REPLY_SUCCESS),
    (Action.MONITOR, "", REPLY_SUCCESS),
    (Action.NULL, "node1", REPLY_FAILURE),
    (Action.STATUS, "nobody", REPLY_FAILURE),
    (Action.OFF, "nobody", REPLY_FAILURE),
)
"""A reboot never starts a VM that was off (S5); a VM that nobody knows is a failure (S2)."""


@pytest.mark.parametrize("address", ("127.0.0.1", "::1"))
async def test_every_action_is_answered_over_tcp(tmp_path: Path, address: str) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp(address)
        for action, target, code in DIALOGUE:
            reply = await beside(ask_tcp, where, signed(SECRET, action, target), SECRET)
            assert (action, target, reply.code) == (action, target, code)


async def test_every_action_is_answered_over_multicast(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await _whole_dialogue(guest_at(await house.multicast()))


async def test_every_action_is_answered_over_multicast_on_ipv6(tmp_path: Path) -> None:
    with own_network():
        link6("link6", "fd00::1/64")
        async with open_house(tmp_path) as house:
            group, port = await house.multicast("ff05::3:1", interface="link6")
            await _whole_dialogue(Guest(SECRET, group, port, "fd00::1", "link6"))


async def _whole_dialogue(guest: Guest) -> None:
    with guest:
        for action, target, code in DIALOGUE:
            reply = await beside(guest.ask, guest.request(action, target))
            assert (action, target, reply.code) == (action, target, code)


async def test_a_list_shows_every_vm_with_its_state_over_both_wires(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.hypervisor.happen(Uuid("22222222-2222-2222-2222-222222222222"), VmState.OFF)
        where, place = await house.tcp(), await house.multicast()
        with guest_at(place) as guest:
            over_multicast = await beside(guest.ask, guest.request(Action.LIST))
        over_tcp = await beside(ask_tcp, where, signed(SECRET, Action.LIST), SECRET)
        assert over_tcp.states() == over_multicast.states() == {"node1": 1, "node2": 5}


async def test_several_instances_serve_the_same_vms(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        places = [await house.tcp(), await house.tcp("::1"), await house.tcp("127.0.0.2")]
        groups = [await house.multicast(), await house.multicast("239.192.12.8")]
        for where in places:
            reply = await beside(ask_tcp, where, signed(SECRET, Action.STATUS, "node1"), SECRET)
            assert reply == Reply(REPLY_SUCCESS)
        for group in groups:
            with guest_at(group) as guest:
                assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS


@pytest.mark.parametrize(
    "secret",
    (Secret(KEY, HASH_SHA512), Secret(KEY, HASH_NONE, HASH_NONE), Secret(KEY, HASH_SHA1, HASH_SHA1)),
    ids=["stronger hash", "nothing", "sha1"],
)
async def test_each_pair_of_hash_and_auth_that_the_configuration_allows_works(tmp_path: Path, secret: Secret) -> None:
    async with open_house(tmp_path) as house:
        house.minimum_hash = min(secret.hash_type, house.minimum_hash)
        house.handshake = dataclasses.replace(house.handshake, auth=secret.auth)
        where, place = await house.tcp(), await house.multicast()
        assert (await beside(ask_tcp, where, signed(secret, Action.STATUS, "node1"), secret)).code == REPLY_SUCCESS
        with guest_at(place, secret) as guest:
            assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS


async def test_while_keys_rotate_guests_with_either_key_are_served(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.keys = (b"the new key", KEY)
        where, place = await house.tcp(), await house.multicast()
        for secret in (SECRET, Secret(b"the new key")):
            assert (await beside(ask_tcp, where, signed(secret, Action.STATUS, "node1"), secret)).code == REPLY_SUCCESS
            with guest_at(place, secret) as guest:
                assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS


async def test_a_source_outside_the_targets_group_is_denied(tmp_path: Path) -> None:
    policy = Policy((Group("g", ("node1",), ("192.0.2.1",), HERE),))
    async with open_house(tmp_path, policy=policy) as house:
        where = await house.tcp()
        reply = await beside(ask_tcp, where, signed(SECRET, Action.OFF, "node1"), SECRET)
        assert reply.code == REPLY_DENIED
        assert await house.state_of("node1") is VmState.RUNNING


async def test_a_name_of_63_bytes_and_more_does_not_corrupt_a_list(tmp_path: Path) -> None:
    names = ["a" * 63, "b" * 64, "ü" * 40]
    vms = [MemoryVm(Uuid(f"{number:08d}-1111-1111-1111-111111111111"), name) for number, name in enumerate(names)]
    async with open_house(tmp_path, vms) as house:
        reply = await beside(ask_tcp, await house.tcp(), signed(SECRET, Action.LIST), SECRET)
        assert [vm.name for vm in reply.vms] == ["a" * 63, "b" * 63, "ü" * 31]
        assert {vm.uuid for vm in reply.vms} == {vm.uuid for vm in vms}


async def test_a_hundred_silent_peers_do_not_delay_a_request(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        silent = [connect(where, SECRET) for _ in range(100)]
        try:
            await house.settle()
            waits = [await _seconds_of_a_status(where) for _ in range(5)]
        finally:
            for peer in silent:
                peer.hang_up()
        assert min(waits) < 0.2  # the machine may be busy with other things; one wait without them is enough


async def _seconds_of_a_status(where: tuple[str, int]) -> float:
    watch = Stopwatch()
    reply = await beside(ask_tcp, where, signed(SECRET, Action.STATUS, "node1"), SECRET)
    assert reply.code == REPLY_SUCCESS
    return watch.undisturbed


def _slowly(peer: Conversation, data: bytes) -> None:
    for byte in data:
        peer.send(bytes([byte]))
        time.sleep(0.001)


async def test_a_request_that_comes_byte_by_byte_is_answered_and_delays_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        with connect(where, SECRET) as slow:
            sending = asyncio.create_task(beside(_slowly, slow, signed(SECRET, Action.STATUS, "node1")))
            reply = await beside(ask_tcp, where, signed(SECRET, Action.OFF, "node2"), SECRET)
            assert reply.code == REPLY_SUCCESS
            await sending
            await beside(slow.handshake)
            assert (await beside(slow.reply)).code == REPLY_SUCCESS


async def test_a_fence_that_takes_long_delays_no_request_about_another_vm(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.hypervisor.faults(Uuid("11111111-1111-1111-1111-111111111111")).exit_takes = 1.0
        where = await house.tcp()
        long = asyncio.create_task(beside(ask_tcp, where, signed(SECRET, Action.OFF, "node1"), SECRET))
        await asyncio.sleep(0.1)
        watch = Stopwatch()
        reply = await beside(ask_tcp, where, signed(SECRET, Action.OFF, "node2"), SECRET)
        assert watch.undisturbed < 0.5
        assert reply.code == REPLY_SUCCESS
        assert not long.done()
        assert (await long).code == REPLY_SUCCESS


async def test_thirty_two_guests_at_once_are_all_answered(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        acts = [lambda: ask_tcp(where, signed(SECRET, Action.STATUS, "node1"), SECRET) for _ in range(32)]
        assert await beside(at_once, acts) == [Reply(REPLY_SUCCESS)] * 32


# -- S12: a requester that has gone ----------


async def _leave_before_the_kill(house: House, leave: str, more: bytes) -> VmState:
    """The requester leaves while the hypervisor is out of reach, then the hypervisor heals."""
    where = await house.tcp()
    house.hypervisor.unreachable = True
    peer = connect(where, SECRET)
    await beside(peer.send, signed(SECRET, Action.OFF, "node1"))
    await beside(peer.handshake)
    if more:
        await beside(peer.send, more)
    await house.settle()
    getattr(peer, leave)()
    await house.settle()
    house.hypervisor.unreachable = False
    await house.settle()
    return await house.state_of("node1")


@pytest.mark.parametrize("leave", ("hang_up", "break_off"))
@pytest.mark.parametrize("more", (b"", b"bytes that nobody asked for"), ids=["clean", "with bytes left behind"])
async def test_nothing_is_done_for_a_requester_that_has_left(tmp_path: Path, leave: str, more: bytes) -> None:
    async with open_house(tmp_path) as house:
        assert await _leave_before_the_kill(house, leave, more) is VmState.RUNNING
