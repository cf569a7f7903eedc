"""Keeps the power actions that have not been answered yet, and tells of each when it comes and when it is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from fencebus_host.control_events import Events
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import FenceOutcome, FenceRequest, RequestId
from fencebus_schemas.status import EventKind, RunningFence

GRACE = 5.0
"""Seconds past its deadline by which every request is answered."""


class Audience(Protocol):
    """Is told of each power action, and of each request that was denied; never blocks, never fails."""

    def accepted(self, request: FenceRequest) -> None:
        """It has arrived."""

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """It is answered, ``seconds`` after its receipt."""


class Nobody:
    """An audience that is not there."""

    def accepted(self, request: FenceRequest) -> None:
        """Nothing."""

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Nothing."""


NOBODY = Nobody()


class Requests:
    """What runs."""

    def __init__(self, events: Events, clock: Clock = boottime, wall_clock: Callable[[], float] = time.time) -> None:
        self._events, self._clock, self._wall_clock = events, clock, wall_clock
        self._running: dict[RequestId, FenceRequest] = {}

    def accepted(self, request: FenceRequest) -> None:
        """See ``Audience``."""
        self._drop_the_late()
        self._running[request.id] = request
        text = f"{_action(request)} asked by {request.by or request.source.text} via {request.via}"
        self._events.happened(EventKind.FENCE_ACCEPTED, text, request=request.id, name=request.target)

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """See ``Audience``."""
        self._running.pop(request.id, None)
        word = "done" if outcome.ok else "FAILED"
        text = f"{_action(request)} {word} after {seconds:.2f} s: {outcome.reason.value}"
        text += f": {outcome.text}" if outcome.text else ""
        vm = outcome.observations[0].vm if outcome.observations else ""
        self._events.happened(EventKind.FENCE_FINISHED, text, request=request.id, name=request.target, vm=vm)

    @property
    def running(self) -> tuple[RunningFence, ...]:
        """Oldest first."""
        self._drop_the_late()
        now, wall = self._clock(), self._wall_clock()
        return tuple(_running(request, now - request.received_at, wall) for request in self._running.values())

    def _drop_the_late(self) -> None:
        """A requester whose listener was closed is never answered."""
        now = self._clock()
        late = [request.id for request in self._running.values() if now > request.deadline.at + GRACE]
        for request in late:
            del self._running[request]


def _running(request: FenceRequest, seconds: float, wall: float) -> RunningFence:
    action, source = request.action.name.lower(), request.source.text
    return RunningFence(request.id, wall - seconds, action, request.target, source, request.via, seconds, request.by)


def _action(request: FenceRequest) -> str:
    return f"{request.action.name.lower()} of {request.target}"
