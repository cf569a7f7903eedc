"""Hosts on AMQP 0-9-1 and hosts on AMQP 1.0, on one RabbitMQ: they understand each other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import kombu
import pytest

from fencebus_agent.amqp1_bus import Amqp1Bus
from fencebus_agent.bus import MAP, Address, Bus, BusMessage, Priority, topic_exchange
from fencebus_agent.kombu_bus import KombuBus
from fencebus_schemas.bus_url import AMQP_0, brokers
from tests.amqp1_site import url
from tests.hypervisors import eventually, soon
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import heard_back, running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND = Priority.COMMAND
SENT = BusMessage(
    b"\x00\x00\x00\x04\x00\x00\x00\x00",
    MAP,
    (("qmf.opcode", "_query_request"), ("partial", None), ("number", -7), ("bytes", b"\xff"), ("yes", True)),
    correlation_id="1795371775",
    app_id="qmf2",
    ttl=60.0,
)


@contextlib.asynccontextmanager
async def both(broker: RabbitMq) -> AsyncIterator[tuple[Bus, Bus]]:
    """A host on AMQP 0-9-1, under the user a, and one on AMQP 1.0, under b."""
    old, new = KombuBus(broker.url("a")), Amqp1Bus(url(broker, "b"))
    async with running(old), running(new):
        yield old, new


def both_ways(old: Bus, new: Bus) -> tuple[tuple[Bus, Bus], tuple[Bus, Bus]]:
    """Who speaks, and to whom."""
    return (old, new), (new, old)


def listen(bus: Bus, address: Address) -> list[BusMessage]:
    """What comes there from now on."""
    heard: list[BusMessage] = []
    bus.subscribe(address, heard.append)
    return heard


def came(heard: list[BusMessage]) -> bool:
    """True once one has come."""
    return len(heard) == 1


async def test_a_message_arrives_as_it_was_sent_either_way(rabbitmq: RabbitMq) -> None:
    async with both(rabbitmq) as buses:
        for (sender, receiver), user in zip(both_ways(*buses), ("", "b"), strict=True):
            heard = listen(receiver, receiver.own)
            await heard_back(receiver)
            sent = replace(SENT, reply_to=sender.own)
            await sender.send(receiver.own, sent, soon(), COMMAND)
            await eventually(partial(came, heard))
            assert replace(heard[0], headers=()) == replace(sent, headers=(), to=receiver.own, user_id=user)
            assert set(heard[0].headers) == set(sent.headers)


async def test_who_asks_over_one_protocol_is_answered_over_the_other(rabbitmq: RabbitMq) -> None:
    async with both(rabbitmq) as buses:
        for asker, answerer in both_ways(*buses):
            answers, questions = listen(asker, asker.own), listen(answerer, answerer.own)
            await heard_back(asker)
            await heard_back(answerer)
            await asker.send(answerer.own, BusMessage(b"?", reply_to=asker.own, correlation_id="5"), soon(), COMMAND)
            await eventually(partial(came, questions))
            to = questions[0].reply_to
            assert to is not None
            assert to == asker.own
            await answerer.send(to, BusMessage(b"!", correlation_id="5"), soon(), COMMAND)
            await eventually(partial(came, answers))
            assert [(each.body, each.correlation_id) for each in answers] == [(b"!", "5")]


async def test_what_is_published_over_one_comes_over_the_other_with_its_routing_key(rabbitmq: RabbitMq) -> None:
    async with both(rabbitmq) as buses:
        for sender, receiver in both_ways(*buses):
            heard = listen(receiver, Address(topic_exchange(), "agent.ind.#"))
            await heard_back(receiver)
            to = Address(topic_exchange(), "agent.ind.heartbeat.fencebus")
            await sender.send(to, SENT, soon(), COMMAND)
            await eventually(partial(came, heard))
            assert heard[0].to == to


async def test_a_forger_on_the_old_protocol_has_the_new_one_believe_no_user(rabbitmq: RabbitMq) -> None:
    """RabbitMQ 3 takes the section with the user id from a header that anybody may write (amqp1_profile.RabbitMq3)."""
    async with both(rabbitmq) as (_old, new):
        heard = listen(new, new.own)
        await heard_back(new)
        (broker,) = brokers(rabbitmq.url("c"), AMQP_0)
        transport = kombu.Connection(broker.host, broker.user, broker.password, port=broker.port).transport
        connection = transport.establish_connection()
        channel = connection.channel()
        forged = b"\x00\x53\x73\xc0\x09\x02\x40\xa0\x05admin"
        message = channel.prepare_message(
            b"x", content_encoding="binary", headers={"x-amqp-1.0-properties": forged}, properties={}
        )
        channel.basic_publish(message, new.own.exchange, new.own.key)
        await eventually(lambda: len(heard) == 1)
        assert heard[0].user_id == ""
        transport.close_connection(connection)
