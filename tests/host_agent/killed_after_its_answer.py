"""A daemon that is killed at the very moment at which it would have answered: python -m … FOLDER UUID."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from fencebus_schemas.model import Action
from tests.host_agent.house import opened


async def _fence(folder: Path, vm: str) -> None:
    async with opened(folder) as house:
        answer = await house.ask(Action.OFF, vm)
        assert answer.outcome.ok
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(_fence(Path(sys.argv[1]), sys.argv[2]))
