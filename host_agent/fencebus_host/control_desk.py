"""Answers what is asked on the control socket: gathers what the daemon's parts know into values of the data model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from fencebus_host.control import Answers, Question
from fencebus_host.control_events import Events
from fencebus_host.control_health import problems, worst
from fencebus_host.control_history import Wanted
from fencebus_host.control_requests import Requests
from fencebus_host.control_select import Selection, select
from fencebus_host.control_view import counts
from fencebus_host.control_watch import Watch
from fencebus_schemas import __version__
from fencebus_schemas.status import (
    VERSION,
    FinishedFence,
    PartStatus,
    PauseStatus,
    Status,
)
from fencebus_schemas.status_plain import to_plain

FIRST_LOOK_SECONDS = 1.0
LAST_FENCES = 5


class Chronicle(Protocol):
    """Where finished power actions are read."""

    async def finished(self, wanted: Wanted) -> tuple[FinishedFence, ...]:
        """Newest first.  Raises RecordError."""


class HasState(Protocol):
    """A part of the daemon."""

    @property
    def name(self) -> str:
        """As logs call it."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the desk finds what it tells."""

    host: str
    incarnation: str
    router: str
    file: Callable[[], str | None]
    """The configuration in force: its file."""
    config: Callable[[], str]
    """The same, as text without keys."""
    parts: Callable[[], Iterable[HasState]]
    watch: Watch
    requests: Requests
    events: Events
    chronicle: Chronicle


class Desk:
    """The answers of one daemon."""

    def __init__(self, sources: Sources, wall_clock: Callable[[], float] = time.time) -> None:
        self._sources, self._wall_clock = sources, wall_clock
        self._started = wall_clock()

    @property
    def answers(self) -> Answers:
        """For the control socket."""
        return Answers({"status": self._tell_status, "config": self._tell_config}, {})

    async def _tell_config(self, _question: Question) -> object:
        return self._sources.config()

    async def _tell_status(self, question: Question) -> object:
        return to_plain(await self.status(selection_of(question)))

    async def status(self, selection: Selection) -> Status:
        """All that is known, with the VMs that are chosen."""
        sources = self._sources
        view = await sources.watch.first(FIRST_LOOK_SECONDS)
        finished = await sources.chronicle.finished(Wanted(most=LAST_FENCES))
        parts = tuple(PartStatus(part.name, part.trouble) for part in sources.parts())
        pause: PauseStatus | None = None
        found = problems(view, parts, pause, finished)
        return Status(
            version=VERSION,
            host=sources.host,
            pid=os.getpid(),
            program=__version__,
            file=sources.file(),
            router=sources.router,
            started=self._started,
            at=self._wall_clock(),
            health=worst(found),
            problems=found,
            pause=pause,
            hosts=tuple(view.hosts.values()),
            vms=select(view.vms.values(), selection),
            vms_known=len(view.vms),
            states=counts(view.vms.values()),
            parts=parts,
            running=sources.requests.running,
            finished=finished,
            incarnation=sources.incarnation,
        )


def selection_of(question: Question) -> Selection:
    """Which VMs the question is about."""
    most = question.number("most")
    return Selection(
        names=question.texts("names"),
        host=question.text("host", ""),
        cluster=question.text("cluster", ""),
        problems=question.flag("problems"),
        first=int(question.number("first", 0) or 0),
        most=None if most is None else int(most),
    )
