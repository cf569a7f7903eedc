"""The group's socket: joined, left without a trace, lost."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import DomainEvent
from fencebus_host.config.model import MulticastSettings
from fencebus_host.listeners import multicast
from fencebus_host.listeners.group_socket import open_group_socket
from fencebus_schemas.model import Action, VmState
from fencebus_schemas.xvm import REPLY_SUCCESS
from tests.host_agent.listeners.house import HERE, NODE1, beside, guest_at, open_house
from tests.namespaces import bridge, own_network, run_ip
from tests.ports import free_udp_port
from tests.protocol_client import send_to_group


def _settings(address: str, interface: str | None = "lo") -> MulticastSettings:
    return MulticastSettings(where=HERE, address=address, port=free_udp_port(), interface=interface)


def test_only_the_groups_datagrams_arrive_and_no_unicast() -> None:
    settings = _settings("239.192.12.11")
    with open_group_socket(settings) as group, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        group.settimeout(30)
        sender.sendto(b"unicast", ("127.0.0.1", settings.port))
        send_to_group(b"another group", "239.192.12.12", settings.port, "127.0.0.1")
        send_to_group(b"ours", "239.192.12.11", settings.port, "127.0.0.1")
        assert group.recv(100) == b"ours"


def test_two_instances_may_listen_on_one_port_each_to_its_own_group() -> None:
    first = _settings("239.192.12.11")
    second = MulticastSettings(where=HERE, address="239.192.12.12", port=first.port, interface="lo")
    with open_group_socket(first) as one, open_group_socket(second) as other:
        for group in (one, other):
            group.settimeout(30)
        send_to_group(b"for the other", "239.192.12.12", first.port, "127.0.0.1")
        send_to_group(b"for the one", "239.192.12.11", first.port, "127.0.0.1")
        assert (one.recv(100), other.recv(100)) == (b"for the one", b"for the other")


def test_an_interface_that_is_not_there_yet_is_named() -> None:
    with pytest.raises(OSError, match=r"there is no interface br99 \(yet\)"):
        open_group_socket(_settings("239.192.12.11", "br99"))


async def test_a_listener_that_is_stopped_leaves_no_unheard_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gc.collect()  # what other tests have left is not this one's
    caplog.clear()
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS
    gc.collect()
    await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_listener_whose_interface_is_another_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multicast, "LINK_SECONDS", 0.02)
    with own_network():
        bridge("br98", "10.98.0.1/24")
        async with open_house(tmp_path) as house:
            await house.multicast(interface="br98")
            run_ip("link del br98")
            with pytest.raises(OSError, match="there is no interface br98"):
                await asyncio.wait_for(house.tasks[-1], 30)
        bridge("br98", "10.98.0.1/24")
        async with open_house(tmp_path) as house:
            await house.multicast(interface="br98")
            run_ip("link del br98")
            bridge("br98", "10.98.0.1/24")
            with pytest.raises(OSError, match="the interface br98 is another one now"):
                await asyncio.wait_for(house.tasks[-1], 30)


async def test_a_listener_without_an_interface_follows_the_kernels_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multicast, "LINK_SECONDS", 0.02)
    with own_network():
        for last_words in (
            "route replace 224.0.0.0/4 dev lo",  # another way
            "link del br98",  # the same one, with other members
        ):
            bridge("br98", "10.98.0.1/24")
            run_ip("route replace 224.0.0.0/4 dev br98")
            async with open_house(tmp_path) as house:
                await house.multicast(interface=None)
                run_ip(last_words)
                if "link" in last_words:
                    bridge("br98", "10.98.0.1/24")
                    run_ip("route replace 224.0.0.0/4 dev br98")
                with pytest.raises(OSError, match=r"another one now|no route leads"):
                    await asyncio.wait_for(house.tasks[-1], 30)
            run_ip("link del br98")


async def test_a_route_that_goes_takes_no_member_from_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multicast, "LINK_SECONDS", 0.02)
    with own_network():
        async with open_house(tmp_path) as house:
            with guest_at(await house.multicast(interface=None)) as guest:
                run_ip("route del 224.0.0.0/4 dev lo")
                await asyncio.sleep(0.2)
                assert not house.tasks[-1].done()
                assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS


def test_a_group_to_which_no_way_leads_is_named() -> None:
    with own_network():
        run_ip("route del 224.0.0.0/4 dev lo")
        with pytest.raises(OSError, match=r"no route leads to the group 239.192.12.11 \(yet\)"):
            open_group_socket(_settings("239.192.12.11", None))


async def test_datagrams_sent_again_while_the_fence_runs_are_dropped_and_one_answer_comes(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.hypervisor.faults(NODE1).exit_takes = 0.3
        events: list[DomainEvent] = []
        house.hypervisor.subscribe(events.append)
        with guest_at(await house.multicast()) as guest:
            request = guest.request(Action.REBOOT, "node1")
            guest.shout(request)
            with await beside(guest.called) as peer:
                await beside(peer.handshake)
                for _ in range(10):
                    guest.shout(request)
                    await asyncio.sleep(0.01)
                assert (await beside(peer.reply)).code == REPLY_SUCCESS
            with pytest.raises(TimeoutError):
                await beside(guest.called, 0.1)
        kinds = [event.kind for event in events]
        assert (kinds.count("stopped"), kinds.count("started")) == (1, 1)


async def test_a_newer_request_of_a_guest_ends_the_call_backs_of_its_older_ones(tmp_path: Path) -> None:
    """Else the answer to one could be taken for the answer to another (facts: fence-virt 6.1, 12)."""
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            guest.shout(guest.request(Action.OFF, "node1"))
            older = await beside(guest.called)
            guest.shout(guest.request(Action.STATUS, "node2"))
            newer = await beside(guest.called)
            with older, newer:
                assert await beside(older.rest) == b""
                await beside(newer.handshake)
                assert (await beside(newer.reply)).code == REPLY_SUCCESS
        assert await house.state_of("node1") is VmState.RUNNING
