"""Measures an echo over RabbitMQ with kombu's transport and nothing else: the floor of a bus that is built on it."""

from __future__ import annotations

import threading
import time

import kombu
from kombu.transport.pyamqp import Channel, Connection

from fencebus_schemas.bus_url import AMQP_0, brokers

BODY = b"x" * 400


class _Peer:
    """A connection with a queue, read by one thread."""

    def __init__(self, url: str) -> None:
        (broker,) = brokers(url, AMQP_0)
        self._transport = kombu.Connection(
            broker.host,
            userid=broker.user,
            password=broker.password,
            virtual_host=broker.vhost,
            port=broker.port,
            transport_options={},
        ).transport
        self.connection: Connection = self._transport.establish_connection()
        self.channel: Channel = self.connection.channel()
        self.queue = f"raw-echo-{id(self)}"
        self.channel.queue_declare(self.queue, exclusive=True, auto_delete=True)
        self.heard = 0
        self.channel.basic_consume(self.queue, no_ack=True, callback=self._hear)

    def _hear(self, _raw: object) -> None:
        self.heard += 1

    def send(self, queue: str) -> None:
        """One message, unconfirmed."""
        self.channel.basic_publish(self.channel.prepare_message(BODY), "", queue)

    def wait(self, count: int) -> None:
        """Until so many messages have come."""
        while self.heard < count:
            self.connection.blocking_read(5.0)

    def close(self) -> None:
        """Gone."""
        self._transport.close_connection(self.connection)


def raw_echo(url: str, rounds: int) -> list[float]:
    """Seconds from a message to its echo, both ends in threads of this process."""
    near, far = _Peer(url), _Peer(url)

    def answer() -> None:
        for number in range(1, rounds + 1):
            far.wait(number)
            far.send(near.queue)

    echoing = threading.Thread(target=answer)
    echoing.start()
    seconds = []
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        near.send(far.queue)
        near.wait(number)
        seconds.append(time.perf_counter() - began)
    echoing.join()
    for peer in (near, far):
        peer.close()
    return seconds
