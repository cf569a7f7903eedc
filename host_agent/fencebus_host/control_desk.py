"""Answers what is asked on the control socket: gathers what the daemon's parts know into values of the data model."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from fencebus_host.control import Answers, Declined, Once, Question
from fencebus_host.control_acts import Acts
from fencebus_host.control_course import Course
from fencebus_host.control_events import Events
from fencebus_host.control_explain import explain
from fencebus_host.control_health import problems, worst
from fencebus_host.control_history import Wanted
from fencebus_host.control_parts import HasState
from fencebus_host.control_pause import Pause
from fencebus_host.control_requests import Requests
from fencebus_host.control_select import Order, Selection, select
from fencebus_host.control_view import counts
from fencebus_host.control_watch import Watch
from fencebus_schemas import __version__
from fencebus_schemas.status import (
    VERSION,
    FinishedFence,
    HistoryStatus,
    PartStatus,
    RouterStatus,
    Status,
)
from fencebus_schemas.status_plain import to_plain

__all__ = ["Chronicle", "Desk", "HasState", "Sources", "selection_of", "wanted_of"]

LOOK_SECONDS = 1.0
LAST_FENCES = 5
LEAST_ID = 4
"""So many characters of a request's id are taken for the beginning of one."""


class Chronicle(Protocol):
    """Where finished power actions are read."""

    async def finished(self, wanted: Wanted) -> tuple[FinishedFence, ...]:
        """Newest first.  Raises RecordError."""

    async def course(self, request: str) -> Course | None:
        """What a verdict was drawn from, as far as it was kept.  Raises RecordError."""


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
    pause: Pause
    heard_ago: Callable[[str], float | None] = lambda _via: None
    """Seconds since a request came by a listener."""
    routers: Callable[[], tuple[RouterStatus, ...]] = lambda: ()
    """Those among hosts that know each other."""


class Desk:
    """The answers of one daemon."""

    def __init__(
        self, sources: Sources, acts: Acts, more: Mapping[str, Once], wall_clock: Callable[[], float] = time.time
    ) -> None:
        """``more``: what others answer on this socket."""
        self._sources, self._acts, self._more, self._wall_clock = sources, acts, more, wall_clock
        self._started = wall_clock()
        self._order = Order()

    @property
    def answers(self) -> Answers:
        """For the control socket."""
        acts = self._acts
        once: dict[str, Once] = {
            "status": self._tell_status,
            "config": self._tell_config,
            "history": self._tell_history,
            "explain": self._tell_explanation,
            "fence": acts.fence,
            "rehearse": acts.rehearse,
            "pause": acts.pause,
            "resume": acts.resume,
        }
        return Answers({**once, **self._more}, {"events": self._tell_events})

    async def _tell_config(self, _question: Question) -> object:
        return self._sources.config()

    async def _tell_status(self, question: Question) -> object:
        return await asyncio.to_thread(to_plain, await self.status(selection_of(question)))

    async def _tell_history(self, question: Question) -> object:
        sources = self._sources
        finished = await sources.chronicle.finished(wanted_of(question))
        return to_plain(HistoryStatus(VERSION, sources.host, finished, sources.requests.running))

    async def _tell_explanation(self, question: Question) -> object:
        """By the id of a request or the beginning of it, or else the last power action on a VM."""
        about = question.text("about")
        chronicle = self._sources.chronicle
        found = await chronicle.finished(Wanted(request=about, most=2)) if len(about) >= LEAST_ID else ()
        found = found or await chronicle.finished(Wanted(vm=about, most=1))
        if not found:
            text = f"no power action has the id {about!r}, and none was about a VM {about!r}"
            raise Declined("unknown-request", text)
        if len({each.id for each in found}) > 1:
            raise Declined("ambiguous-request", f"several power actions have ids that begin with {about!r}")
        return to_plain(explain(found[0], await chronicle.course(found[0].id)))

    async def _tell_events(self, question: Question) -> AsyncIterator[object]:
        after, most = question.number("after"), int(question.number("most", 0) or 0)
        if question.flag("stop"):
            for event in self._sources.events.last(most):
                yield to_plain(event)
            return
        following = self._sources.events.follow(None if after is None else int(after), most)
        async with aclosing(following):
            async for event in following:
                yield to_plain(event)

    def _part(self, part: HasState) -> PartStatus:
        return PartStatus(part.name, part.trouble, self._sources.heard_ago(_listener_of(part.name)))

    async def status(self, selection: Selection) -> Status:
        """All that is known, with the VMs that are chosen."""
        sources = self._sources
        view = await sources.watch.fresh(LOOK_SECONDS)
        finished = await sources.chronicle.finished(Wanted(most=LAST_FENCES))
        parts = tuple(self._part(part) for part in sources.parts())
        running, pause, file = sources.requests.running, sources.pause.current, sources.file()
        # Ten thousand VMs take a while, in which the daemon has better things to do.
        vms = await asyncio.to_thread(lambda: select(self._order.of(view.vms), selection))
        found = problems(view, parts, pause, finished)
        return Status(
            version=VERSION,
            host=sources.host,
            pid=os.getpid(),
            program=__version__,
            file=file,
            router=sources.router,
            started=self._started,
            at=self._wall_clock(),
            health=worst(found),
            problems=found,
            pause=pause,
            hosts=tuple(view.hosts.values()),
            vms=vms,
            vms_known=len(view.vms),
            states=counts(view.vms.values()),
            parts=parts,
            running=running,
            finished=finished,
            incarnation=sources.incarnation,
            routers=sources.routers(),
        )


def _listener_of(part: str) -> str:
    """The listener behind a part, as ``via`` names it; empty if it is none."""
    kind, _, name = part.partition(" ")
    return name if kind == "listener" else ""


def wanted_of(question: Question) -> Wanted:
    """Which finished power actions the question is about."""
    return Wanted(
        request=question.text("request", ""),
        vm=question.text("vm", ""),
        since=question.number("since"),
        failed=question.flag("failed"),
        most=int(question.number("most", 20) or 0),
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
