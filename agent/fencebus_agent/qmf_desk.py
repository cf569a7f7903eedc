"""Decides what a QMF agent does with each message that comes to it.

Pure: the agent sends what is decided here.  Nothing waits for a hypervisor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fencebus_agent.bus import Address, BusMessage
from fencebus_agent.qmf_answers import QmfAnswers
from fencebus_agent.qmf_calls import Call, CallRefused, CallRules, SeenCalls
from fencebus_agent.qmf_domains import agent_name
from fencebus_agent.qmf_objects import QmfObjects
from fencebus_agent.qmf_wire import from_bus, may_answer, schema_answer, schema_request, to_bus
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId
from fencebus_schemas.qmf2 import OPCODE
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import CLASSES
from fencebus_schemas.qmf2_messages import (
    Code,
    Failure,
    LocateRequest,
    LocateResponse,
    Message,
    MethodRequest,
    QueryRequest,
)
from fencebus_schemas.qmf2_names import AgentName

_ANSWERED = ("_query_request", "_method_request")


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """What makes one agent."""

    host: HostId
    epoch: int
    """Another one with each start; counted, if somebody can count."""
    domain: str = "default"
    """The QMF domain: which exchanges."""
    interval: int = 60
    """Seconds between heartbeats.  Hosts notice each other's silence by their announces, and need no heartbeat of
    QMF's; its consoles are content with three in a quarter of an hour.
    """
    trusted: frozenset[str] = frozenset()
    """Users who may call methods; see ``qmf_calls.ANYBODY``."""
    reply_queues: bool = False
    """Answers go to any queue that a console names, too; AMQP 1.0 consoles with a dynamic source need it."""

    @property
    def name(self) -> AgentName:
        """What consoles call it."""
        return agent_name(self.host)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do about a message."""

    answers: tuple[BusMessage, ...] = ()
    """To its reply address, in order."""
    call: Call | None = None
    looked: bool = False
    """Somebody looked for agents."""
    ignored: str = ""
    """Why nothing is done, for the log."""
    refused: str = ""
    """Which call of whom is answered with a refusal, for the log."""


@dataclass
class Desk:
    """One agent's memory, and its answers from it."""

    terms: AgentTerms
    started: int
    """Nanoseconds since 1970."""
    objects: QmfObjects = field(init=False)

    def __post_init__(self) -> None:
        self.name = str(self.terms.name)
        self.objects = QmfObjects(self.name)
        self._answers = QmfAnswers(self.name, CLASSES, self.objects)
        self._rules = CallRules(self.name, self.terms.epoch, CLASSES, self.terms.trusted)
        self._calls = SeenCalls()

    def attributes(self, now: int) -> AgentAttributes:
        """What it says of itself; ``now`` in nanoseconds since 1970."""
        return AgentAttributes(
            self.terms.name,
            now,
            self.terms.interval,
            self.terms.epoch,
            # After a restart the classes may be others.
            self.started,
            direct_subject=self.terms.name.direct_subject,
            more={"hostname": str(self.terms.host)},
        )

    def receive(self, message: BusMessage, now: int, clock: float) -> Reaction:
        """What to do about it; ``now`` as above, ``clock`` in seconds of a clock that never goes back."""
        if message.reply_to is None or not may_answer(message.reply_to, self.terms.reply_queues):
            return Reaction(ignored=f"an answer is not sent to {message.reply_to}")
        try:
            wanted = schema_request(message)
            if wanted is not None:
                body = self._answers.schema(wanted)
                return Reaction(() if body is None else (schema_answer(self.name, body),))
            return self._react(from_bus(message), message, message.reply_to, now, clock)
        except WireError as error:
            if message.header(OPCODE) not in _ANSWERED:
                return Reaction(ignored=str(error))
            return self._say(message, [Failure(self.name, Code.INVALID_PARAMETER, str(error))])

    def _react(self, request: Message, message: BusMessage, reply_to: Address, now: int, clock: float) -> Reaction:
        if isinstance(request, LocateRequest):
            return self._located(request, message, now)
        if isinstance(request, QueryRequest):
            return self._say(message, self._answers.answer(request))
        if not isinstance(request, MethodRequest):
            return Reaction(ignored="no request")
        if not self._calls.is_new(str(reply_to), message.correlation_id, clock):
            return Reaction(ignored="the call came before")
        try:
            return Reaction(call=self._rules.admit(request, self.objects, message.user_id, message.correlation_id))
        except CallRefused as refusal:
            said = f"{request.name[:80]} for user {message.user_id!r}: {refusal}"
            return replace(self._say(message, [self.refusal(refusal)]), refused=said)

    def _located(self, request: LocateRequest, message: BusMessage, now: int) -> Reaction:
        attributes = self.attributes(now)
        if not request.where.holds(attributes.to_map()):
            return Reaction(ignored="another agent is looked for")
        return Reaction(self._say(message, [LocateResponse(self.name, attributes)]).answers, looked=True)

    def refusal(self, refusal: CallRefused) -> Failure:
        """The answer to a call that was refused."""
        return Failure(self.name, refusal.code, refusal.detail or "refused")

    def _say(self, asked: BusMessage, answers: Sequence[Message]) -> Reaction:
        return Reaction(tuple(to_bus(one, correlation_id=asked.correlation_id) for one in answers))
