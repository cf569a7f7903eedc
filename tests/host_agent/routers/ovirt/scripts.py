"""Plays a manager for a course: a script of looks and answers, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.course import Off
from fencebus_host.routers.ovirt.on_course import On
from fencebus_host.routers.ovirt.readings import VmReading
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
from fencebus_schemas.model import Life, Uuid

VM = Uuid("00000000-0000-0000-0000-000000000001")
MOST_STEPS = 5000
LIFE = Life("started 1", -100.0)

Answer = str | ManagerError


def error(trouble: Trouble) -> ManagerError:
    """A manager's trouble."""
    return ManagerError("engine", trouble, trouble.value)


@dataclass
class Play:
    """A manager that says what its functions say at each time, and a clock that each step moves by ``trip`` seconds."""

    status: Callable[[float], Answer]
    stop: Callable[[float], Answer] = lambda _now: "accepted"
    start: Callable[[float], Answer] = lambda _now: "accepted"
    host: Callable[[float], str] = lambda _now: "h"
    power: Callable[[float], Answer] = lambda _now: "on"
    restart: Callable[[float], Answer] = lambda _now: "accepted"
    life: Callable[[float], Life | None] = lambda _now: LIFE
    trip: float = 0.01
    now: float = 0.0
    steps: list[Step] = field(default_factory=list)

    def run(self, course: Off | On) -> Ending:
        """Take every step of a course; what it brought."""
        for _ in range(MOST_STEPS):
            step = course.next(self.now)
            if isinstance(step, Done):
                return step.ending
            if not isinstance(step, Wait):
                self.steps.append(step)
            try:
                self._take(course, step)
            except ManagerError as trouble:
                self.now += self.trip
                course.failed(trouble, step, self.now)
        raise AssertionError("it never ends")

    def _take(self, course: Off | On, step: Step) -> None:
        asked_at = self.now
        if isinstance(step, Wait):
            assert step.until > self.now
            self.now = step.until
            return
        self.now += self.trip
        if isinstance(step, Look):
            course.saw(self._seen(asked_at), self.now)
        elif isinstance(step, Stop):
            _said(self.stop(asked_at))
            course.accepted(step, self.now)
        elif isinstance(step, Start):
            _said(self.start(asked_at))
            course.accepted(step, self.now)
        else:
            assert isinstance(course, Off)
            self._host_step(course, step, asked_at)

    def _host_step(self, course: Off, step: Step, asked_at: float) -> None:
        if isinstance(step, LookAtHost):
            course.host_is("h1", "non_responsive")
        elif isinstance(step, AskPower):
            course.power(_said(self.power(asked_at)), asked_at, self.now)
        else:
            assert isinstance(step, RestartHost)
            _said(self.restart(asked_at))
            course.accepted(step, self.now)

    def _seen(self, at: float) -> Seen:
        return Seen(VmReading(VM, "vm", _said(self.status(at)), self.host(at)), at, self.life(at))

    def count(self, kind: type[Step]) -> int:
        """How many steps of a kind were taken."""
        return sum(isinstance(step, kind) for step in self.steps)


def _said(answer: Answer) -> str:
    if isinstance(answer, ManagerError):
        raise answer
    return answer


def until(moment: float, before: Answer, after: Answer) -> Callable[[float], Answer]:
    """Says ``before`` until a moment, ``after`` from then on."""
    return lambda now: before if now < moment else after
