"""A client of something like qpidd: whom it believes, and what a refused link costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fencebus_agent.amqp1_engine import Greeting
from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_profile import Qpidd
from fencebus_agent.amqp1_speaking import Boxes
from fencebus_agent.bus import Address, BusError, BusMessage, BusRefused, Priority, direct_exchange, topic_exchange
from fencebus_agent.outbox import Parcel
from fencebus_schemas.deadline import Deadline
from tests.agent.qpidd_alike import MISSING, QpiddAlike
from tests.agent.test_amqp1_engine import attach, pair
from tests.hypervisors import eventually

OWN, TOPIC = Address(direct_exchange(), "own"), Address(topic_exchange(), "")
LOGGED_IN = "PLAIN ANONYMOUS"
"""Proton takes the second, as the other side has no passwords; the client goes by the first."""


class Client:
    """A link to the broker, and what it was told."""

    def __init__(self, mechanism: str) -> None:
        self.boxes = Boxes((OWN, TOPIC))
        self.settled: list[BusError | None] = []
        self.lost: list[str] = []
        hooks = Hooks(lambda _binding, _message: None, self._settle, self.lost.append)
        self.link = BrokerLink("b", Greeting("c", mechanism=mechanism), lambda: (OWN,), self.boxes, hooks, Qpidd())

    @property
    def believes(self) -> bool:
        """Whether the user of a message counts."""
        assert self.link._hearing is not None
        return self.link._hearing.vouched

    def send(self, to: Address) -> None:
        """A command, to be settled some time."""
        box = self.boxes.of(to)
        assert box is not None
        box.put(Parcel(to, BusMessage(b"x"), Deadline.after(30), Priority.INDICATION, None))
        self.link.push(to)

    def _settle(self, _parcel: Parcel, error: BusError | None) -> None:
        self.settled.append(error)


@contextlib.asynccontextmanager
async def connected(broker: QpiddAlike, mechanism: str = LOGGED_IN) -> AsyncIterator[Client]:
    """A client that is ready."""
    client = Client(mechanism)
    with pair() as (here, there):
        await attach(broker.engine, there)
        await attach(client.link.engine, here)
        async with asyncio.timeout(30):
            await client.link.ready
        yield client
        await client.link.leave()
        await broker.engine.leave(5)


async def test_who_compares_user_ids_is_believed_and_the_message_under_a_made_up_name_reaches_nobody() -> None:
    broker = QpiddAlike(compares=True)
    async with connected(broker) as client:
        assert client.believes
        assert broker.taken == []


async def test_who_compares_none_is_not_believed_though_it_took_the_login(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(QpiddAlike(compares=False)) as client:
        assert not client.believes
    assert "compares no user ids" in caplog.text


async def test_one_that_refuses_for_another_reason_is_not_believed() -> None:
    async with connected(QpiddAlike(compares=False, rights=False)) as client:
        assert not client.believes


async def test_nobody_in_particular_does_not_try_and_does_not_believe() -> None:
    broker = QpiddAlike(compares=True)
    async with connected(broker, "ANONYMOUS") as client:
        assert not client.believes
        client.send(OWN)
        await eventually(lambda: client.settled == [None])
        assert len(broker.taken) == 1


async def test_a_link_that_is_refused_costs_no_connection() -> None:
    broker = QpiddAlike(compares=True)
    async with connected(broker) as client:
        tried = broker.sessions_ended
        client.send(Address(MISSING, "key"))
        await eventually(lambda: broker.sessions_ended > tried)
        await eventually(lambda: len(client.settled) == 1)
        assert isinstance(client.settled[0], BusRefused)
        client.send(OWN)
        await eventually(lambda: client.settled[1:] == [None])
        assert client.lost == []
        assert broker.lost == []
