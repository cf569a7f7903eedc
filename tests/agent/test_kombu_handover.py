"""The ways between the loop and the thread."""

from __future__ import annotations

import asyncio
import select
import threading
from functools import partial

from fencebus_agent.kombu_handover import BACKLOG, Handover, Wake
from tests.hypervisors import eventually


async def test_calls_of_a_thread_are_made_in_the_loop_in_their_order() -> None:
    handover, called = Handover(asyncio.get_running_loop()), list[int]()
    main = threading.get_ident()

    def call(number: int) -> None:
        assert threading.get_ident() == main
        called.append(number)

    def give() -> None:
        for number in range(1000):
            handover.give(partial(call, number))

    thread = threading.Thread(target=give)
    thread.start()
    await eventually(lambda: len(called) == 1000)
    thread.join()
    assert called == list(range(1000))


async def test_a_loop_that_is_far_behind_is_seen_to_be() -> None:
    handover = Handover(asyncio.get_running_loop())
    for _ in range(BACKLOG - 1):
        handover.give(lambda: None)
    assert not handover.full
    handover.give(lambda: None)
    assert handover.full
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not handover.full


def test_what_is_given_to_a_loop_that_is_closed_is_nobodys() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Handover(loop).give(lambda: None)


def test_a_wake_is_kept_until_it_is_noticed_and_does_nothing_after_the_end() -> None:
    wake = Wake()
    poll = select.poll()
    poll.register(wake.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    wake.set()
    wake.set()
    assert len(poll.poll(0)) == 1
    wake.clear()
    wake.clear()
    assert poll.poll(0) == []
    wake.close()
    wake.close()
    wake.set()
