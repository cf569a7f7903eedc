"""Walks the course of one power action: runs what the course decides, until it is proven or the time is over.

A shell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from fencebus_agent.hypervisor import ActRefused, HypervisorError, Permit
from fencebus_host.routers.fence_agent.contract import Finished, Verb
from fencebus_host.routers.fence_agent.course import Kind, Said, next_step, share
from fencebus_schemas.deadline import Deadline


class Asked(Protocol):
    """The agent, as far as a course needs it."""

    async def ask(
        self, verb: Verb, plug: str | None, deadline: Deadline, before: Callable[[], None] = lambda: None
    ) -> Finished:
        """One run of the agent, directly after ``before``."""


async def walk(agent: Asked, goal: Verb, plug: str, deadline: Deadline, permit: Permit) -> Sequence[Said]:
    """What the agent said.  Raises ActRefused or HypervisorError only if nothing has been done."""
    said: list[Said] = []
    while not deadline.expired:
        step = next_step(goal, said)
        if step.kind is Kind.PROVEN:
            break
        await asyncio.sleep(min(step.pause, deadline.remaining()))
        try:
            said.append(await _run(agent, step.verb, plug, deadline, permit))
        except (ActRefused, HypervisorError) as error:
            if not said:
                raise
            if isinstance(error, ActRefused):
                break  # something was done before; it is told as it is
            said.append(Said(step.verb, Finished(None, ended_for=str(error))))
    return said


async def _run(agent: Asked, verb: Verb, plug: str, deadline: Deadline, permit: Permit) -> Said:
    within = deadline.sooner(share(verb, deadline.remaining()))
    # An agent tells no lives apart: the permit cannot compare their age with the request's (S12).
    before = (lambda: permit(None)) if verb.changes else (lambda: None)
    return Said(verb, await agent.ask(verb, plug, within, before))
