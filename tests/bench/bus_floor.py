"""Measures an echo between two processes over RabbitMQ, with kombu's transport and nothing else: the floor of a fence.

As a program it is the far end: python -m tests.bench.bus_floor URL, which prints the name of its queue.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import kombu
from kombu.transport.pyamqp import Channel, Connection

from fencebus_schemas.bus_url import AMQP_0, brokers
from tests.components import CHECKOUT

BODY_BYTES = 600
"""Of a host's message with its signature: 500 to 700."""


class Peer:
    """A connection with a queue, read by one thread; nothing is confirmed."""

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
        self.channel.auto_decode = False
        self.queue = f"floor-{time.monotonic_ns()}"
        self.channel.queue_declare(self.queue, exclusive=True, auto_delete=True)
        self.heard: list[bytes] = []
        self.channel.basic_consume(self.queue, no_ack=True, callback=self._hear)

    def _hear(self, raw: object) -> None:
        self.heard.append(bytes(self.channel.message_to_python(raw).body))

    def send(self, queue: str, body: bytes) -> None:
        """One message."""
        self.channel.basic_publish(self.channel.prepare_message(body), "", queue)

    def take(self) -> list[bytes]:
        """What has come, once something has."""
        while not self.heard:
            self.connection.blocking_read(30.0)
        taken, self.heard = self.heard, []
        return taken

    def close(self) -> None:
        """Gone."""
        self._transport.close_connection(self.connection)


def round_trips(url: str, count: int, in_flight: int) -> tuple[list[float], float]:
    """Seconds of each of so many echoes, so many at a time, and of all together."""
    with _echo(url) as far:
        near = Peer(url)
        seconds: list[float] = []
        sent: dict[int, float] = {}

        def send(number: int) -> None:
            sent[number] = time.perf_counter()
            near.send(far, f"{near.queue} {number} ".encode().ljust(BODY_BYTES, b"x"))

        began = time.perf_counter()
        for number in range(min(in_flight, count)):
            send(number)
        while len(seconds) < count:
            for body in near.take():
                seconds.append(time.perf_counter() - sent.pop(int(body.split()[1])))
                if (number := len(seconds) + len(sent)) < count:
                    send(number)
        whole = time.perf_counter() - began
        near.close()
    return seconds, whole


@contextmanager
def _echo(url: str) -> Iterator[str]:
    argv = [sys.executable, "-m", "tests.bench.bus_floor", url]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as far:
        assert far.stdout is not None
        yield far.stdout.readline().strip()
        far.terminate()


def main() -> None:
    """Send back whatever comes, to the queue that its first word names."""
    far = Peer(sys.argv[1])
    print(far.queue, flush=True)
    while True:
        for body in far.take():
            far.send(body.split(maxsplit=1)[0].decode(), body)


if __name__ == "__main__":
    main()
