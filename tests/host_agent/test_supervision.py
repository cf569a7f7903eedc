"""Parts that fail are started again, ever more slowly, and say meanwhile what is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import supervision
from fencebus_host.supervision import FIRST_PAUSE, LONGEST_PAUSE, Part, Ready, pause_before


class World:
    """A part whose runs a test scripts, and the troubles that it told."""

    def __init__(self, *runs: Callable[[Ready], Awaitable[None]]) -> None:
        self.runs = list(runs)
        self.begun = 0
        self.told: list[str | None] = []
        self.part = Part("listener tcp", self._run, lambda: self.told.append(self.part.trouble))

    async def _run(self, ready: Ready) -> None:
        self.begun += 1
        await self.runs[min(self.begun, len(self.runs)) - 1](ready)


async def works(ready: Ready) -> None:
    ready()
    await asyncio.Event().wait()


async def busy(_ready: Ready) -> None:
    raise OSError(98, "address already in use")


async def broken(_ready: Ready) -> None:
    raise ZeroDivisionError


async def ends(ready: Ready) -> None:
    ready()


async def works_and_loses_its_socket(ready: Ready) -> None:
    ready()
    raise OSError(19, "no such device")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """No pauses; the numbers of the attempts before which there would have been one."""
    attempts: list[int] = []

    def no_pause(attempt: int, _jitter: float) -> float:
        attempts.append(attempt)
        return 0.001

    monkeypatch.setattr(supervision, "pause_before", no_pause)
    return attempts


async def _until(done: Callable[[], bool]) -> None:
    for _ in range(5000):
        if done():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def test_a_part_that_works_has_no_trouble_and_is_left_alone(quick: list[int]) -> None:
    world = World(works)
    assert world.part.trouble == "starting"
    world.part.start()
    await world.part.tried.wait()
    assert world.part.trouble is None
    await world.part.stop()
    assert (world.begun, quick) == (1, [])


async def test_a_part_that_fails_tells_why_and_heals(quick: list[int], caplog: pytest.LogCaptureFixture) -> None:
    world = World(busy, busy, works)
    world.part.start()
    await world.part.tried.wait()
    assert world.part.trouble == "[Errno 98] address already in use"
    await _until(lambda: world.part.trouble is None)
    await world.part.stop()
    assert quick == [1, 2]
    assert "part=listener tcp failed: [Errno 98] address already in use" in caplog.messages
    # The same trouble twice is told once.
    assert world.told == ["[Errno 98] address already in use", None]


async def test_a_defect_is_logged_whole_and_the_part_is_started_again(
    quick: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    world = World(broken, works)
    world.part.start()
    await _until(lambda: world.part.trouble is None)
    await world.part.stop()
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
    assert quick == [1]


async def test_a_part_that_ends_by_itself_is_started_again(quick: list[int]) -> None:
    world = World(ends, works)
    world.part.start()
    await _until(lambda: world.begun == 2)
    await world.part.stop()
    assert world.told[:2] == [None, "ended by itself"]


async def test_after_it_has_worked_the_pauses_begin_anew(quick: list[int]) -> None:
    world = World(busy, busy, works_and_loses_its_socket, works)
    world.part.start()
    await _until(lambda: world.begun == 4)
    await world.part.stop()
    assert quick == [1, 2, 1]


async def test_a_running_part_can_report_trouble_and_its_end() -> None:
    world = World(works)
    world.part.start()
    await world.part.tried.wait()
    world.part.report("qemu:///system: no connection")
    world.part.report("qemu:///system: no connection")
    world.part.report(None)
    await world.part.stop()
    assert world.told == [None, "qemu:///system: no connection", None]


async def test_a_part_that_was_never_started_can_be_stopped() -> None:
    await World(works).part.stop()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_stay_within_their_bounds(attempt: int, jitter: float) -> None:
    pause = pause_before(attempt, jitter)
    assert FIRST_PAUSE / 2 <= pause <= LONGEST_PAUSE
    assert pause <= pause_before(attempt + 1, jitter)
