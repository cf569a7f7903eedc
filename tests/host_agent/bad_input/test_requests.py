"""Requests that are not what they should be, over TCP and multicast."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import DomainEvent
from fencebus_schemas.digest import HASH_SHA1, digest64
from fencebus_schemas.model import Action, VmState
from fencebus_schemas.xvm import REPLY_SUCCESS, REQUEST_LENGTH, XvmRequest
from tests.host_agent.listeners.house import KEY, NODE1, SECRET, House, beside, guest_at, open_house
from tests.ports import free_tcp_port
from tests.protocol_client import Guest, PeerClosed, Reply, ask_tcp, at_once, connect, packed_address, signed

OFF_NODE1 = signed(SECRET, Action.OFF, "node1")


def _sealed(request: bytes, hash_type: int = SECRET.hash_type, key: bytes = KEY) -> bytes:
    """A request with a right signature over whatever stands in it."""
    unsigned = request[:1] + bytes([hash_type]) + request[2 : REQUEST_LENGTH - 64] + bytes(64)
    return unsigned[:-64] + digest64(hash_type, key, unsigned)


def _with(at: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda request: _sealed(request[:at] + data + request[at + len(data) :])


WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "wrong key": (lambda request: _sealed(request, key=b"another key"), "signature"),
    "no signature": (lambda request: request[:1] + b"\0" + request[2:-64] + bytes(64), "hash-weak"),
    "weaker hash": (lambda request: _sealed(request, HASH_SHA1), "hash-weak"),
    "unknown hash": (lambda request: request[:1] + b"\x09" + request[2:], "hash"),
    "zero signature": (lambda request: request[:-64] + bytes(64), "signature"),
    "unknown action": (_with(0, b"\x63"), "action"),
    "client's own action": (_with(0, b"\x07"), "action"),
    "name without an end": (_with(4, b"n" * 64), "unterminated"),
    "name not UTF-8": (_with(4, b"\xff\xfe\0"), "utf8"),
    "address of a strange length": (_with(2, b"\x07"), "addrlen"),
    "address of another family": (lambda request: _with(2, b"\x04")(_with(108, b"\x0a")(request)), "family"),
}
"""What is done to a good request, and the reason in the log."""


async def _is_well(house: House, where: tuple[str, int]) -> None:
    """Nothing was done, and others are served."""
    assert await house.state_of("node1") is VmState.RUNNING
    reply = await beside(ask_tcp, where, signed(SECRET, Action.STATUS, "node1"), SECRET)
    assert reply.code == REPLY_SUCCESS


def _refused_over_tcp(where: tuple[str, int], data: bytes) -> None:
    """Send, say that no more comes, and get nothing."""
    with connect(where, SECRET) as peer:
        peer.send(data)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.rest() == b""


def _refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons in the log, in their order; every line names its source."""
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    found = [re.fullmatch(r"refused source=([0-9a-f.:]+) via=(\w+) reason=([\w-]+): .+", line) for line in lines]
    assert all(found), lines
    return [match[3] for match in found if match]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_request_over_tcp_gets_no_byte_and_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    damage, reason = WRONG[wrong]
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        await beside(_refused_over_tcp, where, damage(OFF_NODE1))
        await house.settle()
        assert _refusals(caplog) == [reason]
        await _is_well(house, where)


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_datagram_is_not_called_back_and_leaves_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    damage, reason = WRONG[wrong]
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            await beside(guest.shout, damage(guest.request(Action.OFF, "node1")))
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == [reason]


async def _nobody_calls(house: House, guest: Guest) -> None:
    """The guest's next request is the first that is called back: what came before it is over by then."""
    assert (await beside(guest.ask, guest.request(Action.MONITOR))).code == REPLY_SUCCESS
    with pytest.raises(TimeoutError):
        await beside(guest.called, 0.05)
    assert await house.state_of("node1") is VmState.RUNNING


async def test_a_request_that_is_cut_at_any_length_gets_no_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        for length in range(REQUEST_LENGTH):
            await beside(_refused_over_tcp, where, OFF_NODE1[:length])
        await house.settle()
        assert _refusals(caplog) == ["closed"]
        await _is_well(house, where)


async def test_a_datagram_of_any_wrong_length_is_not_called_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            whole = guest.request(Action.OFF, "node1")
            for length in range(REQUEST_LENGTH):
                guest.shout(whole[:length])
                await house.settle() if length % 50 == 0 else None
            for more in (1, 1000, 60000):
                guest.shout(whole + bytes(more))
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == ["length"]


@pytest.mark.parametrize("bit", (0x01, 0x80))
async def test_a_request_with_any_byte_changed_gets_no_byte(tmp_path: Path, bit: int) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        for at in range(REQUEST_LENGTH):
            damaged = OFF_NODE1[:at] + bytes([OFF_NODE1[at] ^ bit]) + OFF_NODE1[at + 1 :]
            await beside(_refused_over_tcp, where, damaged)
        await _is_well(house, where)


async def test_a_datagram_with_any_byte_changed_is_not_called_back(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            whole = guest.request(Action.OFF, "node1")
            for at in range(REQUEST_LENGTH):
                guest.shout(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
                await house.settle() if at % 50 == 0 else None
            await _nobody_calls(house, guest)


async def test_more_bytes_than_a_request_do_not_pass_for_a_handshake(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        with connect(where, SECRET) as peer:
            peer.send(OFF_NODE1 + bytes(1000))
            peer.socket.shutdown(socket.SHUT_WR)
            # It gets the answer to its challenge and a challenge, never a result.
            assert len(await beside(peer.rest)) in (0, 128)
        await _is_well(house, where)


# -- replies to the wrong place ----------

PLACES = {
    "a group": ("224.0.0.1", "no-callback"),
    "any address": ("0.0.0.0", "no-callback"),
    "everybody": ("255.255.255.255", "no-callback"),
    "an IPv6 group": ("ff02::1", "no-callback"),
    "any IPv6 address": ("::", "no-callback"),
    "IPv4 within IPv6": ("::ffff:127.0.0.1", "no-callback"),
    "nothing": ("", "no-callback"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_call_back_goes_to_a_guests_address_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    address, reason = PLACES[place]
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            raw, family = packed_address(address)
            request = XvmRequest(Action.OFF.value, "node1", address=raw, family=family, port=guest.waiting)
            guest.shout(request.sign(KEY, SECRET.hash_type).pack())
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == [reason]


async def test_a_call_back_to_port_0_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            guest.shout(signed(SECRET, Action.OFF, "node1", address="127.0.0.1", port=0))
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == ["no-callback"]


async def test_a_call_back_to_a_closed_port_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    closed = free_tcp_port()
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            for _ in range(20):
                guest.shout(signed(SECRET, Action.OFF, "node1", address="127.0.0.1", port=closed))
                await house.settle()
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == ["no-answer"]


async def test_a_call_back_to_the_daemons_own_tcp_port_fences_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        with guest_at(await house.multicast()) as guest:
            guest.shout(signed(SECRET, Action.OFF, "node1", address=where[0], port=where[1]))
            await house.settle()
            await _nobody_calls(house, guest)
        await _is_well(house, where)


# -- replays ----------


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_datagram_that_is_played_back_an_hour_later_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = _Clock()
    async with open_house(tmp_path, clock=clock) as house:
        events = _events_of(house)
        with guest_at(await house.multicast()) as guest:
            recorded = guest.request(Action.REBOOT, "node1")
            assert (await beside(guest.ask, recorded)).code == REPLY_SUCCESS
            clock.now += 3600
            guest.shout(recorded)
            await _nobody_calls(house, guest)
        assert _refusals(caplog) == ["replayed"]
        assert _kills(events) == 1


async def test_what_was_recorded_at_one_door_is_refused_at_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        with guest_at(await house.multicast()) as guest:
            recorded = guest.request(Action.STATUS, "node1")
            assert (await beside(guest.ask, recorded)).code == REPLY_SUCCESS
        await beside(_refused_over_tcp, where, recorded)
        await house.settle()
        assert _refusals(caplog) == ["replayed"]


async def test_an_identical_request_over_tcp_an_hour_later_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = _Clock()
    async with open_house(tmp_path, clock=clock) as house:
        where = await house.tcp()
        assert (await beside(ask_tcp, where, OFF_NODE1, SECRET)).code == REPLY_SUCCESS
        clock.now += 3600
        with pytest.raises(PeerClosed) as closed:
            await beside(ask_tcp, where, OFF_NODE1, SECRET)
        assert closed.value.received == b""
        assert _refusals(caplog) == ["replayed"]


def _asks_until_called(guest: Guest, request: bytes) -> Reply:
    """Send the identical datagram again and again, as C's client does, until somebody calls."""
    for _ in range(50):
        guest.shout(request)
        with contextlib.suppress(TimeoutError), guest.called(0.1) as peer:
            peer.handshake()
            return peer.reply()
    raise AssertionError("nobody calls")


def _events_of(house: House) -> list[DomainEvent]:
    events: list[DomainEvent] = []
    house.hypervisor.subscribe(events.append)
    return events


def _kills(events: list[DomainEvent]) -> int:
    return sum(event.kind == "stopped" for event in events)


async def test_a_datagram_sent_again_after_a_broken_connection_gets_the_firsts_outcome(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.hypervisor.faults(NODE1).exit_takes = 0.3
        events = _events_of(house)
        with guest_at(await house.multicast()) as guest:
            request = guest.request(Action.REBOOT, "node1")
            guest.shout(request)
            peer = await beside(guest.called)
            await beside(peer.handshake)
            await house.settle()  # the kill has begun by now; the connection breaks before its reply
            peer.break_off()
            assert (await beside(_asks_until_called, guest, request)).code == REPLY_SUCCESS
        assert _kills(events) == 1
        assert await house.state_of("node1") is VmState.RUNNING


async def test_a_request_sent_again_over_tcp_after_a_broken_connection_gets_the_firsts_outcome(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.hypervisor.faults(NODE1).exit_takes = 0.3
        events, where = _events_of(house), await house.tcp()
        request = signed(SECRET, Action.REBOOT, "node1")
        with connect(where, SECRET) as peer:
            peer.send(request)
            await beside(peer.handshake)
            await house.settle()
            peer.break_off()
        assert (await beside(ask_tcp, where, request, SECRET)).code == REPLY_SUCCESS
        assert _kills(events) == 1


# -- floods ----------


async def test_a_flood_of_rubbish_leaves_few_lines_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        await beside(at_once, [lambda: _refused_over_tcp(where, bytes(REQUEST_LENGTH)) for _ in range(50)])
        with guest_at(await house.multicast()) as guest:
            for number in range(500):
                guest.shout(secrets.token_bytes(REQUEST_LENGTH))
                await asyncio.sleep(0) if number % 20 else await house.settle()
        assert 1 <= len(_refusals(caplog)) <= 10
        await _is_well(house, where)
