"""Threads for blocking calls."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from fencebus_agent.worker_threads import WorkerThreads

PATIENCE = 30.0


async def test_a_result_and_an_exception_reach_the_caller() -> None:
    threads = WorkerThreads("t")
    assert await threads.submit(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.submit(lambda: 1 // 0)
    threads.close()


async def test_calls_that_block_do_not_hold_up_others_below_the_limit() -> None:
    threads = WorkerThreads("t", limit=3)
    gate = threading.Event()
    blocked = [threads.submit(gate.wait) for _ in range(2)]
    assert await asyncio.wait_for(threads.submit(lambda: "through"), PATIENCE) == "through"
    gate.set()
    assert await asyncio.gather(*blocked) == [True, True]
    threads.close()


async def test_calls_beyond_the_limit_wait_their_turn() -> None:
    threads = WorkerThreads("t", limit=2)
    gate, begun = threading.Event(), threading.Event()
    blocked = [threads.submit(gate.wait) for _ in range(2)]
    late = threads.submit(begun.set)
    await asyncio.sleep(0.05)
    assert not begun.is_set()
    gate.set()
    await asyncio.wait_for(late, PATIENCE)
    assert begun.is_set()
    assert await asyncio.gather(*blocked) == [True, True]
    threads.close()


@pytest.mark.parametrize("give_up", ("cancelled", "settled by somebody else"))
async def test_a_call_that_was_given_up_never_begins(give_up: str) -> None:
    threads = WorkerThreads("t", limit=1)
    gate, begun = threading.Event(), threading.Event()
    first = threads.submit(gate.wait)
    second = threads.submit(begun.set)
    if give_up == "cancelled":
        assert second.cancel()
    else:
        second.set_result(None)
    gate.set()
    await first
    await threads.submit(lambda: None)
    assert not begun.is_set()
    threads.close()


async def test_what_comes_too_late_is_dropped() -> None:
    threads = WorkerThreads("t")
    gate = threading.Event()

    def fail() -> None:
        gate.wait()
        raise RuntimeError("nobody hears this")

    late: list[asyncio.Future[bool] | asyncio.Future[None]] = [threads.submit(gate.wait), threads.submit(fail)]
    await asyncio.sleep(0.02)
    for future in late:
        future.cancel()
    gate.set()
    await threads.submit(lambda: None)
    await asyncio.sleep(0.02)
    assert all(future.cancelled() for future in late)
    threads.close()


async def test_threads_are_used_again() -> None:
    threads = WorkerThreads("again")
    for _ in range(50):
        await threads.submit(lambda: None)
        while not threads._idle:  # noqa: ASYNC110 - a caller may go on a moment before the thread says that it is free
            await asyncio.sleep(0.001)
    assert sum(thread.name.startswith("again-") for thread in threading.enumerate()) <= 2
    threads.close()


async def test_what_comes_back_while_the_loop_is_busy_reaches_everybody_who_waits() -> None:
    threads = WorkerThreads("t")
    for _ in range(20):
        asked = [threads.submit(partial(int, number)) for number in range(16)]
        sum(range(50_000))  # the loop sees nothing of what comes back in this time
        assert await asyncio.wait_for(asyncio.gather(*asked), PATIENCE) == list(range(16))
    threads.close()


async def test_few_calls_at_once_need_few_threads() -> None:
    threads = WorkerThreads("few")
    for _ in range(100):
        await asyncio.gather(*(threads.submit(lambda: None) for _ in range(4)))
        await asyncio.sleep(0.002)  # a caller may go on a moment before the thread says that it is free
    assert sum(thread.name.startswith("few-") for thread in threading.enumerate()) <= 12
    threads.close()


async def test_a_thread_is_free_again_after_work_that_had_to_wait() -> None:
    threads = WorkerThreads("one", limit=1)
    for _ in range(20):
        assert await asyncio.gather(*(threads.submit(lambda: 1) for _ in range(3))) == [1, 1, 1]
    assert (threads._idle, threads._waiting) in ((1, 0), (0, 0))  # the last thread may not have come to say so
    threads.close()


async def test_nobody_hears_of_an_unheeded_call_and_its_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    threads = WorkerThreads("t", limit=1)
    threads.submit_unheeded(lambda: 1 // 0)
    assert await threads.submit(lambda: "next") == "next"
    gc.collect()
    assert caplog.records == []
    threads.close()


def test_a_thread_survives_the_loop_that_it_worked_for() -> None:
    gate = threading.Event()
    begun = threading.Event()

    def hang() -> None:
        begun.set()
        gate.wait()

    async def leave_behind() -> WorkerThreads:
        threads = WorkerThreads("left")
        threads.submit(hang).add_done_callback(lambda _: None)
        return threads

    threads = asyncio.run(leave_behind())
    assert begun.wait(PATIENCE)
    gate.set()
    threads.close()
    until = time.monotonic() + PATIENCE
    while any(thread.name.startswith("left-") for thread in threading.enumerate()):
        assert time.monotonic() < until, "the thread did not end"
        time.sleep(0.01)


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    code = (
        "import asyncio, time\n"
        "from fencebus_agent.worker_threads import WorkerThreads\n"
        "async def main():\n"
        "    WorkerThreads('t').submit(lambda: time.sleep(60))\n"
        "    await asyncio.sleep(0.1)\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
