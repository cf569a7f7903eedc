"""What each bus makes of a real RabbitMQ that refuses, freezes and dies; and what is left of a client that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_agent.amqp1_bus import Amqp1Bus
from fencebus_agent.bus import Bus, BusCongested, BusError, BusMessage, BusState, BusUnreachable, Priority
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_schemas.bus_url import Tls
from tests.amqp1_site import make_exchanges
from tests.bus_clients import descriptors, nothing_left_behind, numbers, refusal, trying
from tests.hypervisors import eventually, soon
from tests.managers.certificates import made
from tests.ports import free_tcp_port
from tests.rabbitmq import BOUNDED, SHUT, STRANGER, RabbitMq
from tests.rabbitmq_site import running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND = Priority.COMMAND
PATIENT = Terms(connect_timeout=15.0)


@dataclass(frozen=True, slots=True)
class Transport:
    """One of the buses that need a broker."""

    scheme: str
    make: Callable[[str, Terms], Bus]
    silent: str
    """What it says of a broker that it has not heard for two heartbeats."""
    deaf: str
    """What it says of one that takes a connection and nothing more."""

    def __str__(self) -> str:
        return self.scheme

    def url(self, broker: RabbitMq, user: str = "a", password: str | None = None) -> str:
        """Where a user finds it: RabbitMQ speaks both protocols on one port."""
        return broker.url(user, password).replace("amqp:", f"{self.scheme}:")

    def bus(self, broker: RabbitMq, user: str = "a", terms: Terms = PATIENT) -> Bus:
        """A client."""
        return self.make(self.url(broker, user), terms)


AMQP_0 = Transport("amqp", KombuBus, "heartbeats", "timed out")
AMQP_1 = Transport("amqp1", Amqp1Bus, "idle-timeout", "no answer in time")
TRANSPORTS = (AMQP_0, AMQP_1)
NOT_IT = "not-the-password"


@pytest.fixture(params=TRANSPORTS, ids=str)
def transport(request: pytest.FixtureRequest) -> Transport:
    """One after the other."""
    assert isinstance(request.param, Transport)
    return request.param


@pytest.fixture
async def broker(rabbitmq: RabbitMq) -> RabbitMq:
    """With its exchanges, as a client of AMQP 1.0 cannot make them."""
    await make_exchanges(rabbitmq)
    return rabbitmq


@pytest.mark.parametrize(
    ("transport", "user", "password", "vhost", "said"),
    (
        (AMQP_0, "a", NOT_IT, "", "ACCESS_REFUSED"),
        (AMQP_0, "nobody", NOT_IT, "", "ACCESS_REFUSED"),
        (AMQP_0, "a", "a", "/nowhere", "vhost nowhere not found"),
        (AMQP_0, "a", "a", f"/{SHUT}", "vhost 'shut' refused for user 'a'"),
        (AMQP_0, STRANGER, STRANGER, "", "refused for user 'stranger'"),
        (AMQP_1, "a", NOT_IT, "", "the user or the password may be wrong"),
        (AMQP_1, "a", "a", "/nowhere", "nowhere"),
        (AMQP_1, "a", "a", f"/{SHUT}", "Access for user 'a' was refused"),
        (AMQP_1, STRANGER, STRANGER, "", "Access for user 'stranger' was refused"),
        (AMQP_1, BOUNDED, BOUNDED, "", "access to queue 'amq.gen-"),
    ),
    ids=str,
)
async def test_what_the_broker_refuses_is_said_without_a_password(
    broker: RabbitMq,
    caplog: pytest.LogCaptureFixture,
    transport: Transport,
    user: str,
    password: str,
    vhost: str,
    said: str,
) -> None:
    bus = transport.make(transport.url(broker, user, password) + vhost, PATIENT)
    text = await refusal(bus)
    assert said in text
    assert said in caplog.text
    assert NOT_IT not in text + caplog.text + bus.name


async def test_with_several_urls_the_first_one_that_answers_is_taken(broker: RabbitMq, transport: Transport) -> None:
    dead, scheme = free_tcp_port(), transport.scheme
    bus = transport.make(f"{scheme}://a:secret@127.0.0.1:{dead},{transport.url(broker)}", PATIENT)
    assert bus.name == f"{scheme}://a@127.0.0.1:{dead},{scheme}://a@127.0.0.1:{broker.port}"
    heard = numbers(bus)
    async with running(bus):
        await bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: heard == [1])


async def test_tls_verifies_who_the_broker_is(broker: RabbitMq, tmp_path: Path, transport: Transport) -> None:
    ca = broker.folder.parent / "certificates" / "ca.pem"
    there = f"{transport.scheme}s://a:a@localhost:{broker.tls_port}"

    def believing(file: Path | None) -> Bus:
        return transport.make(there, Terms(tls=Tls(str(file) if file else None), connect_timeout=15.0))

    bus = believing(ca)
    heard = numbers(bus)
    async with running(bus):
        for number in range(50):
            await bus.send(bus.own, BusMessage(b"%d" % number), soon(), COMMAND)
        await bus.send(bus.own, BusMessage(b"50" + b" " * 300_000), soon(), COMMAND)
        await eventually(lambda: heard == list(range(51)))
    assert "certificate verify failed" in await refusal(believing(made(tmp_path / "other").ca))
    assert "certificate verify failed" in await refusal(believing(None))
    assert "No such file" in await refusal(believing(tmp_path / "none.pem"))


async def test_a_broker_that_freezes_leaves_commands_unconfirmed_and_goes_on_after(
    broker: RabbitMq, transport: Transport
) -> None:
    bus = transport.bus(broker, terms=Terms(heartbeat=20.0, connect_timeout=15.0))
    heard = numbers(bus)
    async with running(bus):
        with broker.frozen():
            with pytest.raises(BusCongested, match="not confirmed until the deadline"):
                await bus.send(bus.own, BusMessage(b"1"), soon(0.3), COMMAND)
            patient = asyncio.create_task(bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND))
            await asyncio.sleep(0.1)
            assert not patient.done()
        await patient
        await eventually(lambda: heard == [1, 2], 20)


async def test_a_broker_that_says_nothing_for_two_heartbeats_is_lost(broker: RabbitMq, transport: Transport) -> None:
    bus = transport.bus(broker, terms=Terms(heartbeat=0.7, connect_timeout=15.0))
    states, reasons = list[BusState](), list[str]()

    def tell(state: BusState, reason: str) -> None:
        states.append(state)
        reasons.append(reason)

    async with running(bus):
        bus.watch(tell)
        with broker.frozen():
            await eventually(lambda: bool(states), 30)
            assert states[0] is BusState.LOST
            assert transport.silent in reasons[0]
            with pytest.raises(BusUnreachable):
                await bus.wait_connected(soon(0.1))
        await eventually(lambda: BusState.CONNECTED in states, 40)


class Stream:
    """Numbers from one client to another."""

    def __init__(self, transport: Transport, broker: RabbitMq) -> None:
        self.sender, self.receiver = transport.bus(broker, "a"), transport.bus(broker, "b")
        self.heard = numbers(self.receiver)

    async def send(self, number: int, seconds: float) -> None:
        """Raises BusError."""
        await self.sender.send(self.receiver.own, BusMessage(b"%d" % number), soon(seconds), COMMAND)

    async def flow(self, these: Iterable[int]) -> None:
        """Each comes, or it is said that this is not known."""

        async def attempt(number: int) -> None:
            with contextlib.suppress(BusError):
                await self.send(number, 2.0)

        await asyncio.gather(*map(attempt, these))


@pytest.mark.timeout(180)
async def test_a_broker_that_is_killed_takes_nothing_along_that_it_had_confirmed_and_nothing_comes_twice(
    broker: RabbitMq,
) -> None:
    streams = [Stream(transport, broker) for transport in TRANSPORTS]
    async with contextlib.AsyncExitStack() as stack:
        for stream in streams:
            await stack.enter_async_context(running(stream.sender))
            await stack.enter_async_context(running(stream.receiver))
        streaming = asyncio.gather(*(stream.flow(range(300)) for stream in streams))
        await eventually(lambda: all(stream.heard for stream in streams), 20)
        broker.kill()
        await streaming
        restarting = asyncio.create_task(asyncio.to_thread(broker.start))
        await asyncio.gather(*(stream.send(1000, 120) for stream in streams))
        await restarting
        await make_exchanges(broker)
        for stream in streams:
            await stream.sender.wait_connected(soon(50))
            await stream.receiver.wait_connected(soon(50))
            await stream.send(1001, 50)
            await eventually(lambda: 1001 in stream.heard, 20)  # noqa: B023 -- waited for in this very turn
    for stream in streams:
        # A queue of its own dies with a broker; what was confirmed, and not yet here, dies with it.
        assert len(set(stream.heard)) == len(stream.heard)
        assert stream.heard == sorted(stream.heard)


async def test_a_client_that_leaves_leaves_nothing_behind(broker: RabbitMq, transport: Transport) -> None:
    before = descriptors()
    async with running(transport.bus(broker)):
        assert descriptors() > before
    async with trying(transport.bus(broker)):
        await asyncio.sleep(0)
    await nothing_left_behind(before)


async def test_a_client_ends_soon_though_nobody_answers_it(transport: Transport) -> None:
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url, terms = f"{transport.scheme}://127.0.0.1:{deaf.getsockname()[1]}", Terms(connect_timeout=0.5)
        async with trying(transport.make(url, terms)), asyncio.timeout(30):
            await asyncio.sleep(0.1)
        assert transport.deaf in await refusal(transport.make(url, terms))
    await nothing_left_behind(before)


async def test_a_client_that_leaves_a_frozen_broker_ends_too(broker: RabbitMq, transport: Transport) -> None:
    before = descriptors()
    bus = transport.bus(broker)
    task = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    with broker.frozen():
        async with asyncio.timeout(30):
            await bus.close()
            await task
    await nothing_left_behind(before)


@pytest.fixture
def no_collector() -> Iterable[None]:
    """Garbage stays where it is."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")  # it is left at once, not when the garbage is collected
@pytest.mark.parametrize(
    ("transport", "hostile"),
    (
        (AMQP_0, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (AMQP_0, b"AMQP\x03\x01\x00\x00"),
        (AMQP_0, b"\x01\x00\x00\x00\x00\x00\x08\x00\x0a\x00\x0a\xff\xff\xff\xff\xce"),
        (AMQP_1, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (AMQP_1, b"AMQP\x00\x00\x09\x01"),
        (AMQP_1, b"AMQP\x03\x01\x00\x00" + b"\xff" * 64),
        (AMQP_1, b"AMQP\x03\x01\x00\x00" + b"\x00\x00\x00\x08\x02\x01\x00\x00" * 3),
    ),
    ids=str,
)
async def test_what_is_no_broker_is_left_again(transport: Transport, hostile: bytes) -> None:
    visits = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visits.add(task)
        with contextlib.closing(writer), contextlib.suppress(OSError):
            writer.write(hostile)
            await reader.read()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        there = f"{transport.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert there in await refusal(transport.make(there, Terms(connect_timeout=2.0)))
        _, staying = await asyncio.wait(visits, timeout=30)
        assert not staying
