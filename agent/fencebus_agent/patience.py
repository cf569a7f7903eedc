"""Decides whether something happened in time.

``asyncio.wait_for`` of Python 3.11 swallows a cancellation that comes in the very moment in which what it waits for is
done: whoever was told to end goes on.  ``asyncio.timeout`` does not.
"""

from __future__ import annotations

import asyncio

from fencebus_schemas.deadline import Deadline


async def set_by(event: asyncio.Event, deadline: Deadline) -> bool:
    """Wait until the event is set; False if the deadline came first (S9).

    What has happened counts, though the deadline has passed: who may not act late looks at that too (S12).
    """
    try:
        async with asyncio.timeout(deadline.remaining()):
            await event.wait()
    except TimeoutError:
        return False
    return True
