"""Measures an echo over RabbitMQ with kombu's transport and nothing else: the floor of a bus that is built on it."""

from __future__ import annotations

import threading
import time

from tests.bench.bus_floor import Peer

BODY = b"x" * 400


def raw_echo(url: str, rounds: int) -> list[float]:
    """Seconds from a message to its echo, both ends in threads of this process."""
    near, far = Peer(url), Peer(url)

    def answer() -> None:
        for _ in range(rounds):
            far.take()
            far.send(near.queue, BODY)

    echoing = threading.Thread(target=answer)
    echoing.start()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        near.send(far.queue, BODY)
        near.take()
        seconds.append(time.perf_counter() - began)
    echoing.join()
    for peer in (near, far):
        peer.close()
    return seconds
