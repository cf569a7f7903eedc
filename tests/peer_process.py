"""One host with direct links as a process of its own: it answers whoever asks it, and says how its links are.

python -m tests.peer_process URL NAME KEY HEARTBEAT
"""

from __future__ import annotations

import asyncio
import sys

from fencebus_agent.bus import Address, BusMessage, BusState, Priority, topic_exchange
from fencebus_agent.bus_terms import Terms
from fencebus_agent.peers_bus import PeersBus
from fencebus_schemas.deadline import Deadline


def address(name: str) -> Address:
    """Where a host is asked."""
    return Address(topic_exchange(), f"ask.{name}")


async def host(url: str, name: str, key: bytes, heartbeat: float) -> None:
    """Answer, until ended."""
    bus = PeersBus(url, name, (key,), Terms(heartbeat=heartbeat))
    answers: set[asyncio.Task[None]] = set()

    def asked(question: BusMessage) -> None:
        if question.reply_to is not None:
            answer = BusMessage(question.body + name.encode(), correlation_id=question.correlation_id)
            sending = bus.send(question.reply_to, answer, Deadline.after(30), Priority.COMMAND)
            task = asyncio.get_running_loop().create_task(sending)
            answers.add(task)
            task.add_done_callback(answers.discard)

    def changed(state: BusState, reason: str) -> None:
        print(state.name, reason, flush=True)

    bus.subscribe(address(name), asked)
    bus.watch(changed)
    await bus.run()


if __name__ == "__main__":
    asyncio.run(host(sys.argv[1], sys.argv[2], sys.argv[3].encode(), float(sys.argv[4])))
