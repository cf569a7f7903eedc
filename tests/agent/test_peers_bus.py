"""Direct links: who is let in, what strangers get, and what is left of a host that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from fencebus_agent import peers_gate
from fencebus_agent.bus import (
    Address,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    Priority,
    Renewable,
    topic_exchange,
)
from fencebus_agent.bus_terms import Terms
from fencebus_agent.peers_bus import PeersBus
from fencebus_agent.peers_trust import names_of
from fencebus_schemas.bus_url import Tls
from tests.bus_clients import descriptors
from tests.hypervisors import eventually, soon
from tests.peer_certificates import Authority
from tests.ports import free_tcp_port

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
KEYS = (b"the hosts' key",)
EVERYBODY = Address(topic_exchange(), "everybody")


class Hosts:
    """Lists for hosts of one machine, and the buses made from them."""

    def __init__(self, names: Sequence[str], stack: contextlib.AsyncExitStack) -> None:
        self.ports = {name: free_tcp_port() for name in names}
        self.url = "peers://" + ",".join(f"{name}@127.0.0.1:{port}" for name, port in self.ports.items())
        self._stack = stack

    async def start(self, name: str, keys: Sequence[bytes] = KEYS, tls: Tls | None = None, url: str = "") -> PeersBus:
        """It runs, whether it finds anybody or not."""
        bus = PeersBus(url or self.url, name, keys, Terms(tls=tls or Tls(), connect_timeout=10.0))
        task = asyncio.create_task(bus.run())

        async def end() -> None:
            await bus.close()
            await asyncio.wait_for(task, 30)

        self._stack.push_async_callback(end)
        return bus


@contextlib.asynccontextmanager
async def hosts(*names: str) -> AsyncIterator[Hosts]:
    """All end with the context."""
    before = descriptors()
    async with contextlib.AsyncExitStack() as stack:
        yield Hosts(names, stack)
    # Who was in the midst of a handshake is still there for a moment: such sockets are asyncio's.
    await eventually(lambda: descriptors() <= before)


def listen(bus: PeersBus, address: Address) -> list[BusMessage]:
    """What comes there from now on."""
    heard: list[BusMessage] = []
    bus.subscribe(address, heard.append)
    return heard


async def told(bus: PeersBus, said: str) -> None:
    """Return once that is why it is alone."""

    def found() -> bool:
        return said in f"{bus._door.trouble} {bus._presence.trouble}"

    await eventually(found, 30)
    with pytest.raises(BusUnreachable):
        await bus.wait_connected(soon(0.05))


async def test_hosts_with_certificates_know_who_speaks(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path / "ca")
    async with hosts("a", "b") as site:
        a, b = [await site.start(name, (), authority.sign(name)) for name in "ab"]
        at_a, at_b = listen(a, EVERYBODY), listen(b, EVERYBODY)
        await a.wait_connected(soon())
        await b.wait_connected(soon())
        await eventually(lambda: bool(a._door.wanting(EVERYBODY)), 20)
        with pytest.raises(BusRefused, match="in the name of 'b'"):
            await a.send(EVERYBODY, BusMessage(user_id="b"), soon(), COMMAND)
        await a.send(EVERYBODY, BusMessage(b"1", user_id="a"), soon(), COMMAND)
        await eventually(lambda: bool(at_a and at_b))
        assert [message.user_id for message in (*at_a, *at_b)] == ["a", "a"]


async def test_a_certificate_for_another_name_or_of_another_ca_is_refused_on_both_sides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = Authority.made(tmp_path / "ours"), Authority.made(tmp_path / "theirs")
    async with hosts("a", "b", "c") as site:
        a = await site.start("a", (), ours.sign("a"))
        await site.start("b", (), ours.sign("somebody"))
        await site.start("c", (), theirs.sign("c"))
        await told(a, "b: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch")
        await told(a, "c: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
        await eventually(lambda: "a certificate for somebody, who is in no list here" in caplog.text, 20)
        assert a._door.audiences == ()


def test_whom_a_certificate_is_for_is_said_by_its_alternative_names_or_else_its_common_name() -> None:
    subject = ((("countryName", "XX"),), (("commonName", "a"),))
    assert names_of({"subject": subject, "subjectAltName": (("DNS", "b"), ("IP Address", "10.0.0.1"))}) == (
        "b",
        "10.0.0.1",
    )
    assert names_of({"subject": subject}) == ("a",)
    assert names_of({}) == names_of(None) == ()


async def test_another_key_and_a_host_that_is_in_no_list_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with hosts("a", "b") as site:
        a = await site.start("a")
        await site.start("b", (b"another key",))
        await eventually(lambda: "it does not hold the hosts' key" in caplog.text, 20)
        await told(a, "b: ")
        other = f"peers://x@127.0.0.1:{free_tcp_port()},a@127.0.0.1:{site.ports['a']}"
        await site.start("x", url=other)
        await eventually(lambda: "'x' is in no list here" in caplog.text, 20)
        assert a._door.audiences == ()


async def test_with_several_keys_the_first_proves_and_all_are_believed() -> None:
    async with hosts("a", "b") as site:
        a, b = await site.start("a", (b"new", b"old")), await site.start("b", (b"old", b"new"))
        for bus in (a, b):
            await bus.wait_connected(soon())


async def test_keys_that_are_renewed_count_from_the_next_connection_on() -> None:
    async with hosts("a", "b") as site:
        a, b = await site.start("a", (b"old",)), await site.start("b", (b"new",))
        await told(a, "b: ")
        assert isinstance(a, Renewable)
        a.renew((b"new", b"old"))
        for bus in (a, b):
            await bus.wait_connected(soon(30))


async def test_a_port_that_is_taken_is_said_and_had_as_soon_as_it_is_free() -> None:
    async with hosts("a", "b") as site:
        with socket.create_server(("127.0.0.1", site.ports["a"])):
            a, b = await site.start("a"), await site.start("b")
            await told(a, "cannot listen as a@127.0.0.1")
        for bus in (a, b):
            await bus.wait_connected(soon())


@pytest.mark.parametrize("hostile", (b"", b"GET / HTTP/1.1\r\n\r\n" * 10, b"AMQP\x00\x01\x00\x00", b"\0" * 65536))
async def test_strangers_get_nothing_and_harm_nobody(hostile: bytes) -> None:
    async with hosts("a", "b") as site:
        a, b = await site.start("a"), await site.start("b")
        await a.wait_connected(soon())
        reader, writer = await asyncio.open_connection("127.0.0.1", site.ports["a"])
        with contextlib.suppress(OSError):
            writer.write(hostile)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        heard = listen(b, b.own)
        await eventually(lambda: bool(a._door.wanting(b.own)), 20)
        await a.send(b.own, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: [message.body for message in heard] == [b"1"])


async def test_a_crowd_of_strangers_keeps_nobody_out_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(peers_gate, "PATIENCE", 0.5)
    monkeypatch.setattr(peers_gate, "MOST_STRANGERS", 3)
    async with hosts("a", "b", "c") as site, contextlib.AsyncExitStack() as crowd:
        a, _b = await site.start("a"), await site.start("b")
        await a.wait_connected(soon())
        for _ in range(5):
            _reader, writer = await asyncio.open_connection("127.0.0.1", site.ports["a"])
            crowd.callback(writer.close)
        await eventually(lambda: "3 others have not shown yet who they are" in caplog.text)
        await site.start("c")
        await eventually(lambda: a._presence._there == {"b", "c"}, 20)
        assert "it took too long to show who it is" in caplog.text


async def test_a_host_that_comes_anew_takes_the_place_of_what_is_left_of_it() -> None:
    async with hosts("a", "b") as site:
        a = await site.start("a")
        before = PeersBus(site.url, "b", KEYS)
        task = asyncio.create_task(before.run())
        await a.wait_connected(soon())
        await before.wait_connected(soon())
        states: list[BusState] = []
        a.watch(lambda state, _reason: states.append(state))
        for call in before._calls:  # it falls silent: nobody is told
            assert call._link is not None
            socket_of = call._link.engine._socket
            assert socket_of is not None
            socket_of.pause_reading()
        await before.close()
        await asyncio.wait_for(task, 30)
        b = await site.start("b")
        heard = listen(b, EVERYBODY)
        await b.wait_connected(soon())
        await eventually(lambda: len(a._door.wanting(EVERYBODY)) == 1, 20)
        await a.send(EVERYBODY, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: len(heard) == 1)
        assert states[-1] is BusState.CONNECTED


async def test_each_host_that_comes_is_told_of_and_only_the_last_one_that_goes() -> None:
    async with hosts("a", "b", "c") as site:
        a = await site.start("a")
        states: list[BusState] = []
        a.watch(lambda state, _reason: states.append(state))
        others = [await site.start(name) for name in "bc"]
        await eventually(lambda: states == [BusState.CONNECTED] * 2, 20)
        await others[0].close()
        await eventually(lambda: a._presence._there == {"c"}, 20)
        assert states == [BusState.CONNECTED] * 2
        await others[1].close()
        await eventually(lambda: states[2:] == [BusState.LOST], 20)
        await a.send(EVERYBODY, BusMessage(), soon(), INDICATION)
        assert a.dropped == 1


async def test_a_host_that_leaves_leaves_nothing_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with hosts("a", "b") as site:
        a, b = await site.start("a"), await site.start("b")
        await a.wait_connected(soon())
        await b.wait_connected(soon())
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", site.ports["a"])
