"""A host as a QMF agent on the bus: says what is there, answers from memory, hands method calls to a handler.

What it says and answers is decided in ``qmf_desk`` and ``qmf_plan``; here it is only sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence

from fencebus_agent.bus import (
    Address,
    Bus,
    BusClosed,
    BusError,
    BusMessage,
    BusState,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.qmf_answers import indications
from fencebus_agent.qmf_calls import Call, CallRefused, Forbidding, Handler
from fencebus_agent.qmf_desk import AgentTerms, Desk
from fencebus_agent.qmf_plan import Plan
from fencebus_agent.qmf_wire import to_bus
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_data import Data, Event, Severity
from fencebus_schemas.qmf2_messages import Code, Content, Failure, Heartbeat, Indication, Message, MethodResponse
from fencebus_schemas.qmf2_names import LOCATE_KEY, TO_AGENTS, AgentName
from fencebus_schemas.qmf2_schema import ClassSchema

log = logging.getLogger(__name__)

CALL_SECONDS = 45.0
"""A call that has no answer by then fails: an old fence_virtd ends itself after 60 s (facts: qmf2 4.3)."""
ANSWER_SECONDS = 10.0
"""How long an answer waits for room on the bus."""
MOST_PENDING = 256
"""Requests that are being answered; what comes on top is dropped, and its sender asks again."""
MOST_EVENTS = 1000
"""Events that wait for the loop's next turn; of more the oldest are lost, as events may be."""
INDICATION_TTL = 60.0
GATHERED = 0.1
"""Seconds for which whatever is to be told waits for more: a fence must not wait for what it is told of itself, and
changes four objects.
"""


class QmfAgent:
    """One agent.  Build it on the loop; it speaks while ``run`` does."""

    def __init__(self, bus: Bus, terms: AgentTerms, handler: Handler | None = None) -> None:
        self._bus, self._terms = bus, terms
        self._handler: Handler = handler or Forbidding()
        self._desk = Desk(terms, time.time_ns())
        self._plan = Plan(terms.interval)
        self._events: deque[tuple[ClassSchema, Event]] = deque(maxlen=MOST_EVENTS)
        self._wake = asyncio.Event()
        self._pending: set[asyncio.Task[None]] = set()
        self._running = False
        self._topic, direct = topic_exchange(terms.domain), direct_exchange(terms.domain)
        for address in (
            Address(direct, str(terms.name)),
            Address(self._topic, TO_AGENTS),
            Address(self._topic, terms.name.direct_subject),
        ):
            bus.subscribe(address, self._receive)
        bus.watch(self._changed)

    @property
    def name(self) -> AgentName:
        """What consoles call it."""
        return self._terms.name

    # ---- what there is

    def show(self, described: ClassSchema, objects: Mapping[str, Map]) -> None:
        """These, by their keys, are all objects of the class from now on; consoles hear of each change at once.

        Of VMs show those that this host owns: see ``qmf_domains.owned``.
        """
        if self._desk.objects.show(described, objects, time.time_ns()):
            self._wake.set()

    def put(self, described: ClassSchema, key: str, values: Map) -> None:
        """One object is there, as it is now."""
        if self._desk.objects.put(described, key, values, time.time_ns()):
            self._wake.set()

    def remove(self, described: ClassSchema, key: str) -> None:
        """One object is not there any more."""
        if self._desk.objects.remove(described, key, time.time_ns()):
            self._wake.set()

    def tell(self, described: ClassSchema, values: Map, severity: Severity | None = None) -> None:
        """Something happened.  An event is a hint: it may be lost."""
        level = described.severity if severity is None else severity
        self._events.append((described, Event(described.id, values, time.time_ns(), level)))
        self._wake.set()

    # ---- the tasks

    async def run(self) -> None:
        """Speak until cancelled, or until the bus is closed."""
        self._running = True
        # The bus may be there already, and does not say so again; where it is not, this is dropped.
        self._changed(BusState.CONNECTED, "")
        try:
            while True:
                await self._pause()
                await asyncio.sleep(GATHERED)
                for to, message in self._due():
                    await self._indicate(to, message)
        except BusClosed:
            return
        finally:
            await self._end_pending()

    async def _pause(self) -> None:
        """Until there is something to say."""
        left = self._plan.next - asyncio.get_running_loop().time()
        # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if left == float("inf") else max(0.0, left)):
                await self._wake.wait()
        self._wake.clear()

    async def _indicate(self, to: Address, message: BusMessage) -> None:
        try:
            await self._bus.send(to, message, Deadline.after(ANSWER_SECONDS), Priority.INDICATION)
        except BusClosed:
            raise
        except BusError as error:
            log.warning("%s could not be told: %s", to, error)

    async def _answer(self, to: Address, answers: Sequence[BusMessage]) -> None:
        deadline = Deadline.after(ANSWER_SECONDS)
        try:
            for one in answers:
                await self._bus.send(to, one, deadline, Priority.COMMAND)
        except BusError as error:
            log.warning("no answer to %s: %s", to, error)

    async def _carry_out(self, to: Address, call: Call) -> None:
        log.info("%s of %s for user %r, %s", call.method, call.target.id.name, call.user, call.correlation_id)
        answer = await self._outcome(call)
        log.info("%s of %s: %s", call.method, call.target.id.name, answer)
        await self._answer(to, [self._packed(answer, call)])

    def _packed(self, answer: MethodResponse | Failure, call: Call) -> BusMessage:
        try:
            return to_bus(answer, correlation_id=call.correlation_id)
        except WireError as error:
            text = f"{call.method}: its result cannot be sent: {error}"
            return to_bus(Failure(str(self.name), Code.EXCEPTION, text), correlation_id=call.correlation_id)

    async def _outcome(self, call: Call) -> MethodResponse | Failure:
        agent = str(self.name)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return MethodResponse(agent, await self._handler.call(call, Deadline.after(CALL_SECONDS)))
        except CallRefused as refusal:
            return self._desk.refusal(refusal)
        except TimeoutError:
            return Failure(agent, Code.EXCEPTION, f"{call.method}: no outcome within {CALL_SECONDS:g} s")
        except Exception:
            # The root of the call's task: whatever a handler does wrong, the caller hears of a failure.
            log.exception("%s of %s failed", call.method, call.target.id.name)
            return Failure(agent, Code.EXCEPTION, f"{call.method}: internal error")

    async def _end_pending(self) -> None:
        self._running = False
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    # ---- what comes in

    def _changed(self, state: BusState, _reason: str) -> None:
        if state is BusState.CONNECTED:
            self._plan.connected(asyncio.get_running_loop().time())
        else:
            self._plan.lost()
        self._wake.set()

    def _receive(self, message: BusMessage) -> None:
        if not self._running or len(self._pending) >= MOST_PENDING:
            log.info("dropped what came to %s: %s requests are being answered", message.to, len(self._pending))
            return
        reaction = self._desk.receive(message, time.time_ns(), time.monotonic())
        if reaction.ignored and message.to.key != LOCATE_KEY:
            log.info("ignored what came to %s: %s", message.to, reaction.ignored)
        if reaction.refused:
            log.warning("refused %s", reaction.refused)
        if reaction.looked:
            self._plan.looked(asyncio.get_running_loop().time())
            self._wake.set()
        if message.reply_to is None:
            return
        if reaction.call is not None:
            self._begin(self._carry_out(message.reply_to, reaction.call))
        elif reaction.answers:
            self._begin(self._answer(message.reply_to, reaction.answers))

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    # ---- what goes out

    def _due(self) -> Iterator[tuple[Address, BusMessage]]:
        """What is to be said now, in order: who I am, what there is, what happened."""
        now, clock = time.time_ns(), asyncio.get_running_loop().time()
        if self._plan.take_heartbeat(clock):
            beat = Heartbeat(str(self.name), self._desk.attributes(now))
            yield from self._told(self.name.heartbeat_key, beat, 2.0 * self._terms.interval)
        objects = self._desk.objects
        yield from self._objects(objects.take_all(now) if self._plan.take_everything(clock) else objects.take_changes())
        while self._events:
            described, event = self._events.popleft()
            key = self.name.event_key(described.id.package, described.id.class_name, event.severity.word)
            # One event a message: qpid-printevents reads no more (facts: qpidd 3c).
            told = Indication(str(self.name), Content.EVENT, (event,))
            yield from self._told(key, told)

    def _objects(self, objects: Sequence[Data]) -> Iterator[tuple[Address, BusMessage]]:
        for told in indications(str(self.name), objects):
            first = told.items[0]
            assert isinstance(first, Data)
            key = self.name.data_key(first.schema.package, first.schema.class_name)
            yield from self._told(key, told)

    def _told(self, key: str, message: Message, ttl: float = INDICATION_TTL) -> Iterator[tuple[Address, BusMessage]]:
        """A message to all; none if it has no encoding: what is wrong with one object is no other's silence."""
        try:
            yield Address(self._topic, key), to_bus(message, ttl=ttl)
        except WireError as error:
            log.error("%s cannot be told: %s", key, error)
