"""Threads for blocking calls."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from fencebus_agent.worker_threads import WorkerThreads


def test_a_result_and_an_exception_reach_the_caller() -> None:
    threads = WorkerThreads("t")
    assert threads.submit(lambda: 7).result(5) == 7
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)
    threads.close()


def test_calls_that_block_do_not_hold_up_others_below_the_limit() -> None:
    threads = WorkerThreads("t", limit=3)
    gate = threading.Event()
    blocked = [threads.submit(gate.wait) for _ in range(2)]
    assert threads.submit(lambda: "through").result(5) == "through"
    gate.set()
    assert [future.result(5) for future in blocked] == [True, True]
    threads.close()


def test_calls_beyond_the_limit_wait_their_turn() -> None:
    threads = WorkerThreads("t", limit=2)
    gate = threading.Event()
    blocked = [threads.submit(gate.wait) for _ in range(2)]
    late = threads.submit(lambda: "late")
    time.sleep(0.05)
    assert not late.running()
    gate.set()
    assert late.result(5) == "late"
    assert all(future.result(5) for future in blocked)
    threads.close()


def test_a_cancelled_call_never_begins() -> None:
    threads = WorkerThreads("t", limit=1)
    gate, begun = threading.Event(), threading.Event()
    first = threads.submit(gate.wait)
    second = threads.submit(begun.set)
    assert second.cancel()
    gate.set()
    first.result(5)
    threads.submit(lambda: None).result(5)
    assert not begun.is_set()
    threads.close()


def test_threads_are_used_again() -> None:
    threads = WorkerThreads("again")
    for _ in range(50):
        threads.submit(lambda: None).result(5)
        time.sleep(0.001)
    assert sum(thread.name.startswith("again-") for thread in threading.enumerate()) <= 2
    threads.close()


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_program() -> None:
    code = (
        "import time; from fencebus_agent.worker_threads import WorkerThreads; "
        "WorkerThreads('t').submit(lambda: time.sleep(60)); time.sleep(0.1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=10)
