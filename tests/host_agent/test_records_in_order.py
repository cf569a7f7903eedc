"""What drivers remember stands on the disk as it was last, however slow the disk is meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fencebus_agent.lives import PastLives
from fencebus_agent.roster import Remembered
from fencebus_host.records import Records
from tests.host_agent import evidence
from tests.host_agent.evidence import OTHER, VM, request

HAS_LEFT = Remembered(left=frozenset({VM}), lives={VM: PastLives(left=("m1",))})


@contextmanager
def slow_disk(folder: Path) -> Iterator[None]:
    """Somebody else writes there: whatever is to be written waits until the end."""
    database = sqlite3.connect(folder / "records.sqlite", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    finally:
        database.close()


async def begun(work: asyncio.Task[None]) -> asyncio.Task[None]:
    """What it does before it waits for the disk is done."""
    await asyncio.sleep(0)
    return work


async def test_s14_a_vm_that_came_back_and_left_again_while_the_disk_was_slow_has_left_for_the_next_daemon(
    tmp_path: Path,
) -> None:
    memory = HAS_LEFT
    records = Records(tmp_path, {"a": lambda: memory})
    await records.open()
    await records.keep("a")
    with slow_disk(tmp_path):
        memory = Remembered()
        came_back = await begun(asyncio.create_task(records.keep("a")))
        memory = HAS_LEFT
        left_again = await begun(asyncio.create_task(records.keep("a")))
    await asyncio.gather(came_back, left_again)
    await records.close()
    assert await found_by_the_next_daemon(tmp_path) == HAS_LEFT


async def test_s14_a_life_that_left_while_a_kill_was_being_written_down_has_left_for_the_next_daemon(
    tmp_path: Path,
) -> None:
    memory = HAS_LEFT
    records = Records(tmp_path, {"a": lambda: memory})
    await records.open()
    await records.keep("a")
    with slow_disk(tmp_path):
        memory = Remembered(lives={OTHER: PastLives(("m2",))})
        came_back = await begun(asyncio.create_task(records.ended(request(), evidence.killed())))
        memory = Remembered(left=frozenset({VM}), lives={VM: PastLives(left=("m1",)), OTHER: PastLives(("m2",))})
        left_again = await begun(asyncio.create_task(records.ended(request(), evidence.killed())))
    await asyncio.gather(came_back, left_again)
    await records.close()
    assert await found_by_the_next_daemon(tmp_path) == memory


async def found_by_the_next_daemon(folder: Path) -> Remembered:
    records = Records(folder, {})
    await records.open()
    try:
        return await records.remembered("a")
    finally:
        await records.close()
