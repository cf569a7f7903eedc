"""A picture in a folder, and what of it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fencebus_host.effects import Kept
from fencebus_host.ownership import Past
from fencebus_host.picture import Picture
from fencebus_host.picture_tables import Memory
from tests.host_agent.picture_model import numbered

DATABASE = "picture.sqlite"
EMPTY = Memory(Past(), ())


@asynccontextmanager
async def opened(folder: Path, wall_clock: float = 1e9) -> AsyncIterator[tuple[Picture, Memory]]:
    picture = Picture(folder, lambda: wall_clock)
    try:
        yield picture, await picture.open()
    finally:
        await picture.close()


async def remembered(folder: Path) -> Memory:
    async with opened(folder) as (_, memory):
        return memory


async def keep_all(folder: Path, records: list[Kept]) -> None:
    async with opened(folder) as (picture, _):
        assert await asyncio.gather(*(picture.keep(each) for each in records)) == [True] * len(records)


def upto(number: int) -> list[Kept]:
    return [numbered(each) for each in range(number)]
