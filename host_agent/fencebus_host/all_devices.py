"""Converts what several hypervisors say of their guests' devices into one list; a silent one hides nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import HypervisorError
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

Asked = asyncio.Task[Sequence[GuestDevices]]

DEVICES_SECONDS = 30.0
COURTESY_SECONDS = 2.0
"""How long those that have answered wait for one that has not."""


class HasGuests(Protocol):
    """What is asked of a hypervisor."""

    @property
    def name(self) -> str:
        """Its URI."""

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """The devices of all its guests; raises HypervisorError."""


async def all_devices(
    hypervisors: Sequence[HasGuests], seconds: float = DEVICES_SECONDS, courtesy: float = COURTESY_SECONDS
) -> Sequence[GuestDevices]:
    """The guests of all that answer.  Raises HypervisorError, the first one's, if none does within ``seconds``."""
    deadline = Deadline.after(seconds)
    asked = {asyncio.create_task(one.devices(deadline)): one.name for one in hypervisors}
    try:
        await _enough(asked, courtesy)
        answered = [task for task in asked if _answers(task)]
        if asked and not answered:
            await next(iter(asked))
        for silent in [asked[task] for task in asked if task not in answered]:
            log.debug("%s does not tell what its guests have", silent)
        return [guest for task in answered for guest in task.result()]
    finally:
        for task in asked:
            task.cancel()


async def _enough(asked: Iterable[Asked], courtesy: float) -> None:
    """Return when all have ended, or ``courtesy`` seconds after the first that answered."""
    waiting = set(asked)
    while waiting:
        ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if waiting and any(_answers(task) for task in ended):
            await asyncio.wait(waiting, timeout=courtesy)
            return


def _answers(task: Asked) -> bool:
    """True if it has an answer.  Raises what is no HypervisorError: that is a defect, and no silence."""
    error = task.exception() if task.done() else None
    if error is not None and not isinstance(error, HypervisorError):
        raise error
    return task.done() and error is None
