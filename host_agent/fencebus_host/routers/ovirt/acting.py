"""Carries out a course at a manager, step by step, until it is over.  A shell: the course decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from fencebus_agent.hypervisor import ActRefused, Permit
from fencebus_host.routers.ovirt.answers import ManagerError
from fencebus_host.routers.ovirt.course import Off
from fencebus_host.routers.ovirt.engine import Engine
from fencebus_host.routers.ovirt.on_course import On
from fencebus_host.routers.ovirt.steps import (
    AskPower,
    Done,
    Ending,
    Look,
    LookAtHost,
    RestartHost,
    Seen,
    Start,
    Step,
    Stop,
    Wait,
)
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Reason, Uuid

MARGIN = 0.2
"""Seconds before the deadline at which a course is over, so that the reason is told in time."""


class Course(Protocol):
    """What both courses have."""

    def next(self, now: float) -> Step:
        """What to do now."""

    def saw(self, seen: Seen, now: float) -> None:
        """A look was answered."""

    def accepted(self, doing: Step, now: float) -> None:
        """An act was accepted."""

    def failed(self, error: ManagerError, doing: Step, now: float) -> None:
        """What was tried did not succeed."""


class Acting:
    """One act on one VM at one manager."""

    def __init__(self, engine: Engine, vm: Uuid, deadline: Deadline, permit: Permit) -> None:
        self._engine = engine
        self._vm = vm
        self._deadline = replace(deadline, at=deadline.at - MARGIN)
        self._permit = permit
        self._sent = False

    async def off(self) -> Ending:
        """End the VM's life.  Raises ActRefused if that was forbidden before anything was sent."""
        engine = self._engine
        course = Off(self._deadline.at, engine.pace, engine.host_fencing)
        while True:
            step = course.next(self._now())
            if isinstance(step, Done):
                return step.ending
            try:
                await self._take_off_step(course, step)
            except ManagerError as error:
                course.failed(error, step, self._now())
            except ActRefused as refusal:
                if not self._sent or refusal.reason is Reason.YOUNGER_LIFE:
                    raise
                course.refused()

    async def _take_off_step(self, course: Off, step: Step) -> None:
        engine, deadline = self._engine, self._deadline
        if isinstance(step, LookAtHost):
            host = await engine.host(step.host, deadline)
            course.host_is(host.name, host.status)
        elif isinstance(step, AskPower):
            asked_at = self._now()
            course.power(await engine.power(step.host, deadline), asked_at, self._now())
        elif isinstance(step, RestartHost):
            await engine.restart_host(step.host, deadline, self._leave(step.life))
            course.accepted(step, self._now())
        else:
            await self._take_step(course, step)

    async def on(self) -> Ending:
        """Start the VM.  Raises ActRefused if that was forbidden."""
        course = On(self._deadline.at)
        while True:
            step = course.next(self._now())
            if isinstance(step, Done):
                return step.ending
            try:
                await self._take_step(course, step)
            except ManagerError as error:
                course.failed(error, step, self._now())

    async def _take_step(self, course: Course, step: Step) -> None:
        engine, deadline = self._engine, self._deadline
        if isinstance(step, Wait):
            await asyncio.sleep(max(0.0, step.until - self._now()))
        elif isinstance(step, Look):
            seen = await engine.look(self._vm, deadline)
            course.saw(seen, self._now())
        elif isinstance(step, Stop):
            await engine.stop(self._vm, deadline, self._leave(step.life))
            course.accepted(step, self._now())
        elif isinstance(step, Start):
            await engine.start(self._vm, deadline, self._leave(None))
            course.accepted(step, self._now())

    def _leave(self, life: Life | None) -> Callable[[], None]:
        """Asks for leave directly before sending (S12, S16)."""

        def leave() -> None:
            self._permit(life)
            self._sent = True

        return leave

    def _now(self) -> float:
        return self._deadline.clock()
