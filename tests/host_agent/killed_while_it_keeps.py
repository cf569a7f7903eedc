"""Keeps one numbered record after the other and says the number of each that is on the disk, until it is killed.

``python -m tests.host_agent.killed_while_it_keeps FOLDER FIRST``
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fencebus_host.picture import Picture
from tests.host_agent.picture_model import numbered

AT_ONCE = 3


async def main(folder: Path, first: int) -> None:
    """Never returns."""
    picture = Picture(folder)
    await picture.open()
    while True:
        numbers = range(first, first + AT_ONCE)
        kept = await asyncio.gather(*(picture.keep(numbered(number)) for number in numbers))
        first += AT_ONCE
        os.write(1, f"{first if all(kept) else -1}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
