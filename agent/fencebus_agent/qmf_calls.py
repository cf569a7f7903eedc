"""Decides whether a method call reaches whoever carries it out, and as what; the port to them.

Pure but for the Protocol.  Facts: qmf2 1.7, 4.3, 5.1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.qmf_objects import QmfObjects
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.qmf2_classes import FENCE_CONTROL
from fencebus_schemas.qmf2_data import Data, ObjectId
from fencebus_schemas.qmf2_messages import Code, MethodRequest
from fencebus_schemas.qmf2_schema import ClassSchema, Method

ANYBODY = "*"
"""Among the trusted users: calls are accepted for which no broker vouches.  For old consoles on a closed network."""


class CallRefused(FencebusError):
    """A call is not, or could not be, carried out.  ``code`` is a ``Code`` or from ``Code.USER`` on; ``detail`` is for
    people.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} ({self.code})"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be carried out: the object is there, and the arguments fit."""

    target: Data
    method: str
    arguments: Map
    user: str
    """For whom the broker vouches; empty if for nobody."""
    correlation_id: str


class Handler(Protocol):
    """Carries out method calls."""

    async def call(self, call: Call, deadline: Deadline) -> Map:
        """The output arguments.  Raises CallRefused.  Success of ``destroy`` means a proven death, as of any fence."""


class Forbidding:
    """The handler of an agent that only shows: every call is refused."""

    async def call(self, call: Call, deadline: Deadline) -> Map:
        """Raises CallRefused."""
        raise CallRefused(Code.FORBIDDEN, f"{call.method}: this agent only shows what there is")


@dataclass(frozen=True)
class CallRules:
    """What one agent admits."""

    agent: str
    epoch: int
    classes: Sequence[ClassSchema]
    trusted: Collection[str]
    """Users; ANYBODY among them opens the door to calls for which the broker vouches for nobody."""

    def admit(self, request: MethodRequest, objects: QmfObjects, user: str, correlation_id: str) -> Call:
        """The call, fit to be carried out.  Raises CallRefused."""
        target = self._target(request.object, objects)
        described = next(one for one in self.classes if one.id == target.schema)
        method = described.method(request.name)
        if method is None:
            raise CallRefused(Code.UNKNOWN_METHOD, f"{described.id.class_name} has no method {request.name[:80]}")
        # The broker's rules do not tell a call from a query: who may call is decided here (facts: qpidd 4).
        if user not in self.trusted and ANYBODY not in self.trusted:
            who = f"user {user}" if user else "a caller for whom the broker does not vouch"
            raise CallRefused(Code.FORBIDDEN, f"{request.name}: {who} is not trusted here")
        _check_arguments(method, request.arguments)
        return Call(target, method.name, request.arguments, user, correlation_id)

    def _target(self, named: ObjectId | None, objects: QmfObjects) -> Data:
        if named is None:
            # The agent itself is meant: its fencing service.
            found = next(iter(objects.of(FENCE_CONTROL.id)), None)
        elif named.agent not in ("", self.agent) or named.epoch not in (0, self.epoch):
            # What the caller saw was an earlier run's: whatever it decided on is not what is here (facts: qmf2 4.3).
            found = None
        else:
            found = objects.find(named.name)
        if found is None:
            raise CallRefused(Code.UNKNOWN_OBJECT, f"no such object: {named.name[:120] if named else 'FenceControl'}")
        return found


def _check_arguments(method: Method, arguments: Map) -> None:
    inputs = {one.name: one for one in method.inputs}
    for name, value in arguments.items():
        if name not in inputs or not inputs[name].type.accepts(value):
            raise CallRefused(Code.INVALID_PARAMETER, f"Invalid argument: {name[:80]}")
    for name in inputs:
        if name not in arguments:
            raise CallRefused(Code.INVALID_PARAMETER, f"Missing argument: {name}")


class SeenCalls:
    """Calls that came already: a message may come twice, and a destroy must not."""

    def __init__(self, seconds: float = 120.0, most: int = 1000) -> None:
        self._seconds, self._most = seconds, most
        self._seen: dict[tuple[str, str], float] = {}

    def is_new(self, reply_to: str, correlation_id: str, now: float) -> bool:
        """True the first time.  Who gives no correlation id cannot be recognised: each call is new."""
        if not correlation_id:
            return True
        for key in [key for key, at in self._seen.items() if at + self._seconds <= now]:
            del self._seen[key]
        key = (reply_to, correlation_id)
        if key in self._seen:
            return False
        if len(self._seen) >= self._most:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = now
        return True
