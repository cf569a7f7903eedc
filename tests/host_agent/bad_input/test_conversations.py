"""Peers that misbehave on a connection: half handshakes, wrong responses, broken connections, silence."""

from __future__ import annotations

import logging
import os
import resource
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.listeners import connection
from fencebus_schemas.digest import HASH_SHA1, HASH_SHA512, AuthError, digest64
from fencebus_schemas.model import Action, Uuid, VmState
from fencebus_schemas.xvm import REPLY_SUCCESS
from tests.daemon_process import DaemonProcess
from tests.elapsed import Stopwatch
from tests.host_agent.listeners.house import KEY, SECRET, House, beside, guest_at, open_house
from tests.hypervisors import eventually
from tests.protocol_client import (
    Conversation,
    Secret,
    ask_tcp,
    connect,
    descriptors_of,
    resident_kib,
    signed,
)

CHALLENGE = bytes(range(64))
SILENT = 10_000
MORE_KIB = 24 * 1024
"""How much the daemon may grow under ten thousand connections."""


def _begin(where: tuple[str, int]) -> Conversation:
    """Connect and send a request that is right."""
    peer = connect(where, SECRET)
    peer.send(signed(SECRET, Action.OFF, "node1"))
    return peer


async def _is_well(house: House, where: tuple[str, int]) -> None:
    assert await house.state_of("node1") is VmState.RUNNING
    reply = await beside(ask_tcp, where, signed(SECRET, Action.STATUS, "node1"), SECRET)
    assert reply.code == REPLY_SUCCESS


def _wrong_response(where: tuple[str, int]) -> bytes:
    """What comes after the daemon's challenge was answered wrongly."""
    with _begin(where) as peer:
        peer.send(CHALLENGE)
        assert peer.receive(64) == digest64(SECRET.auth, KEY, CHALLENGE)
        peer.receive(64)
        peer.send(bytes(64))
        return peer.rest()


async def test_a_wrong_response_gets_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        assert await beside(_wrong_response, where) == b""
        await house.settle()
        assert [line.getMessage() for line in caplog.records if "reason=response" in line.getMessage()]
        await _is_well(house, where)


@pytest.mark.parametrize("auth", (HASH_SHA1, HASH_SHA512))
async def test_a_guest_with_another_auth_gets_no_result(tmp_path: Path, auth: int) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        secret = Secret(KEY, SECRET.hash_type, auth)
        with pytest.raises(AuthError):
            await beside(ask_tcp, where, signed(secret, Action.OFF, "node1"), secret)
        await _is_well(house, where)


def _reflected(first: Conversation, second: Conversation) -> bytes:
    """Pass the daemon's challenge on ``first`` off as ours on ``second``; what it says to that."""
    first.send(CHALLENGE)
    first.receive(64)
    second.send(first.receive(64))
    return second.rest()


async def test_nobody_answers_the_daemons_challenge_by_asking_the_daemon(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        with _begin(where) as first, _begin(where) as second:
            assert await beside(_reflected, first, second) == b""
        with guest_at(await house.multicast()) as guest, _begin(where) as first:
            guest.shout(guest.request(Action.OFF, "node1"))
            with await beside(guest.called) as called:
                assert await beside(_reflected, first, called) == b""
        await _is_well(house, where)


# -- broken connections ----------


def _after_half_the_request(peer: Conversation) -> None:
    peer.send(signed(SECRET, Action.OFF, "node1")[:88])


def _after_the_request(peer: Conversation) -> None:
    peer.send(signed(SECRET, Action.OFF, "node1"))


def _after_half_a_challenge(peer: Conversation) -> None:
    _after_the_request(peer)
    peer.send(CHALLENGE[:32])


def _after_our_challenge(peer: Conversation) -> None:
    _after_the_request(peer)
    peer.send(CHALLENGE)
    peer.receive(64)


def _after_half_a_response(peer: Conversation) -> None:
    _after_our_challenge(peer)
    challenge = peer.receive(64)
    peer.send(digest64(SECRET.auth, KEY, challenge)[:32])


STAGES: tuple[Callable[[Conversation], None], ...] = (
    lambda peer: None,
    _after_half_the_request,
    _after_the_request,
    _after_half_a_challenge,
    _after_our_challenge,
    _after_half_a_response,
)


@pytest.mark.parametrize("leave", ("hang_up", "break_off"))
async def test_a_connection_that_breaks_at_any_stage_does_nothing_and_leaves_nothing(
    tmp_path: Path, leave: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        await _is_well(house, where)
        await house.settle()
        before = descriptors_of(os.getpid())
        for stage in STAGES:
            for _ in range(5):
                peer = connect(where, SECRET)
                await beside(stage, peer)
                getattr(peer, leave)()
        await eventually(lambda: descriptors_of(os.getpid()) <= before)
        await _is_well(house, where)
        assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


async def test_a_call_back_that_breaks_at_any_stage_does_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        with guest_at(await house.multicast()) as guest:
            before = descriptors_of(os.getpid())
            for length in (0, 32, 64, 96):
                guest.shout(guest.request(Action.OFF, "node1"))
                peer = await beside(guest.called)
                peer.send(secrets.token_bytes(length))
                peer.break_off()
            await eventually(lambda: descriptors_of(os.getpid()) <= before)
            assert (await beside(guest.ask, guest.request(Action.STATUS, "node1"))).code == REPLY_SUCCESS


async def test_two_hundred_half_handshakes_delay_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        where = await house.tcp()
        halves = [_begin(where) for _ in range(200)]
        for half in halves:
            half.send(CHALLENGE)
        await house.settle()
        watch = Stopwatch()
        await _is_well(house, where)
        assert watch.undisturbed < 0.5
        for half in halves:
            half.hang_up()


async def test_a_peer_that_never_reads_its_list_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STEP_SECONDS", 0.3)
    many = [MemoryVm(Uuid(f"{number:08x}-1111-1111-1111-111111111111"), f"node{number}") for number in range(60_000)]
    async with open_house(tmp_path, many) as house:
        where = await house.tcp()
        await house.settle()
        before = descriptors_of(os.getpid())
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(30)
        deaf.connect(where)
        with Conversation(deaf, SECRET) as peer:
            peer.send(signed(SECRET, Action.LIST))
            await beside(peer.handshake)
            limit = time.monotonic() + 30
            while descriptors_of(os.getpid()) > before + 1:
                assert time.monotonic() < limit
                await house.settle()


# -- silence by the thousand ----------


@contextmanager
def _descriptors(number: int) -> Iterator[None]:
    """Let this process open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        pytest.skip(f"this machine allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    with _descriptors(SILENT + 1000), DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready().ask(Action.STATUS, "node1")
        pid = daemon.process.pid
        descriptors, memory = descriptors_of(pid), resident_kib(pid)
        silent: list[socket.socket] = []
        slowest = 0.0
        try:
            for number in range(SILENT):
                silent.append(socket.create_connection(daemon.where, 30))
                if number % 1000 == 999:
                    watch = Stopwatch()
                    assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
                    slowest = max(slowest, watch.undisturbed)
            assert daemon.ask(Action.OFF, "node1").code == REPLY_SUCCESS
            assert descriptors_of(pid) <= descriptors + 600
            assert resident_kib(pid) <= memory + MORE_KIB
            print(f"slowest status {slowest * 1000:.0f} ms, grown by {resident_kib(pid) - memory} KiB")
        finally:
            for one in silent:
                one.close()
        daemon.process.wait_until(lambda: descriptors_of(pid) <= descriptors + 2, what="rid of them")
        assert resident_kib(pid) <= memory + MORE_KIB
        assert 1 <= len(daemon.says("reason=crowded")) <= 10
        assert not daemon.says("ERROR|Traceback")
        assert slowest < 3.0  # C: a second for each silent peer


def test_floods_of_rubbish_do_not_make_the_daemon_grow(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready().ask(Action.STATUS, "node1")
        pid = daemon.process.pid
        _rubbish(daemon, 300)
        descriptors, memory = descriptors_of(pid), resident_kib(pid)
        _rubbish(daemon, 2000)
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
        daemon.process.wait_until(lambda: descriptors_of(pid) <= descriptors + 2, what="rid of them")
        assert resident_kib(pid) <= memory + 4096
        assert len(daemon.says("refused ")) <= 4


def _rubbish(daemon: DaemonProcess, number: int) -> None:
    for _ in range(number):
        with connect(daemon.where, SECRET) as peer:
            peer.send(secrets.token_bytes(176))
            select.select([peer.socket], [], [], 5)
