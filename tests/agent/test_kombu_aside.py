"""A thread that has a connection for a while, and whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from fencebus_agent.bus import BusError, BusRefused
from fencebus_agent.kombu_courier import aside
from fencebus_agent.worker_threads import WorkerThreads


async def test_whoever_is_cancelled_is_so_only_once_the_thread_is_done() -> None:
    threads, steps = WorkerThreads("aside", limit=1), list[str]()
    loop, cut = asyncio.get_running_loop(), asyncio.Event()

    def call() -> None:
        asyncio.run_coroutine_threadsafe(cut.wait(), loop).result()
        steps.append("thread")

    task = asyncio.create_task(aside(threads, call, lambda: steps.append("cut"), 60.0))
    await asyncio.sleep(0.01)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    cut.set()
    await asyncio.wait({task}, timeout=30)
    assert task.cancelled()
    assert steps == ["cut", "cut", "thread"]
    threads.close()


async def test_a_thread_has_only_so_much_time_and_what_it_says_too_late_counts_no_more() -> None:
    threads, cut = WorkerThreads("aside", limit=1), asyncio.Event()
    loop = asyncio.get_running_loop()

    def call() -> None:
        asyncio.run_coroutine_threadsafe(cut.wait(), loop).result()
        raise ValueError

    with pytest.raises(TimeoutError):
        await aside(threads, call, cut.set, 0.01)
    threads.close()


@pytest.mark.parametrize("error", (None, BusRefused("bus", "no")))
async def test_what_a_thread_brings_back_in_time_counts(error: BusError | None) -> None:
    threads, cuts = WorkerThreads("aside", limit=1), list[int]()

    def call() -> Sequence[int]:
        if error is not None:
            raise error
        return (1, 2)

    with pytest.raises(BusRefused) if error else contextlib.nullcontext():
        assert await aside(threads, call, lambda: cuts.append(1), 60.0) == (1, 2)
    assert cuts == []
    threads.close()
