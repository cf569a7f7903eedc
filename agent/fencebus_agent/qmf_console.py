"""A QMF console on the bus: finds agents, keeps a picture of what they have, calls their methods.

What is believed is decided in ``qmf_picture`` and ``qmf_inquiries``; here it is only sent and received.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fencebus_agent.bus import (
    Address,
    Bus,
    BusError,
    BusMessage,
    BusState,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_domains import PRODUCT
from fencebus_agent.qmf_inquiries import Inquiries, NoAnswer
from fencebus_agent.qmf_picture import Heard, Picture
from fencebus_agent.qmf_wire import from_bus, to_bus
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_classes import CLASSES
from fencebus_schemas.qmf2_data import Data, Event, Kind, ObjectId, SchemaId
from fencebus_schemas.qmf2_messages import (
    Failure,
    Heartbeat,
    Indication,
    Item,
    LocateRequest,
    LocateResponse,
    Message,
    MethodRequest,
    MethodResponse,
    QueryRequest,
    QueryResponse,
    What,
)
from fencebus_schemas.qmf2_names import DATA, EVENTS, HEARTBEATS, LOCATE_KEY
from fencebus_schemas.qmf2_predicate import Predicate, equals

log = logging.getLogger(__name__)

LOOKS = (0.0, 3.0)
"""Seconds after the connection at which it looks for agents: a message may be lost."""
AGE_SECONDS = 5.0
REFRESHES = 3
"""Times that an agent is asked for its objects before its next heartbeat is waited for."""
EventSink = Callable[[str, Event], None]
"""Called with the agent's name and the event."""


def every_class() -> tuple[SchemaId, ...]:
    """Our classes, whatever version of them an agent has."""
    return tuple(SchemaId(one.id.package, one.id.class_name) for one in CLASSES if one.id.kind is Kind.DATA)


@dataclass(frozen=True, slots=True)
class ConsoleTerms:
    """What one console is interested in."""

    domain: str = "default"
    """The QMF domain: which exchanges."""
    where: Predicate = field(default_factory=lambda: equals("_product", PRODUCT))
    """Which agents, by their attributes."""
    classes: tuple[SchemaId, ...] = field(default_factory=every_class)
    users: Mapping[str, str] = field(default_factory=dict)
    """Who sends for which agent, by its name; for others the first one that was heard."""
    patience: float = 5.0
    """Seconds that an agent has to say what it has, before it is asked again."""


class QmfConsole:
    """One console.  Build it on the loop; it looks and listens while ``run`` does."""

    def __init__(
        self, bus: Bus, terms: ConsoleTerms | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus, self._terms, self._clock = bus, terms or ConsoleTerms(), clock
        self.picture = Picture(self._terms.users)
        self._inquiries = Inquiries()
        self._event_sinks: list[EventSink] = []
        self._change_sinks: list[Callable[[], None]] = []
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._running = False
        self._topic, self._direct = topic_exchange(self._terms.domain), direct_exchange(self._terms.domain)
        self._connected = asyncio.Event()
        for key in (HEARTBEATS, DATA, EVENTS):
            bus.subscribe(Address(self._topic, key), self._receive)
        bus.subscribe(bus.own, self._receive)
        bus.watch(self._changed)

    def watch(self, sink: Callable[[], None]) -> None:
        """Call ``sink`` in the event loop whenever the picture has changed."""
        self._change_sinks.append(sink)

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` in the event loop with each event.  Events may be lost: what is, is in the picture."""
        self._event_sinks.append(sink)

    # ---- the tasks

    async def run(self) -> None:
        """Look, listen and forget until cancelled."""
        self._running = True
        self._connected.set()
        looking = asyncio.create_task(self._look())
        try:
            while True:
                await asyncio.sleep(AGE_SECONDS)
                for silent in self.picture.age(self._clock()):
                    log.warning("agent %s is silent", silent.name)
                    self._tell_changes()
        finally:
            self._running = False
            tasks = [looking, *self._refreshing.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Ask who is there, after each connection."""
        while True:
            await self._connected.wait()
            self._connected.clear()
            for pause in LOOKS:
                await asyncio.sleep(pause)
                await self._ask_all()

    async def _ask_all(self) -> None:
        message = to_bus(LocateRequest(self._terms.where), self._bus.own)
        try:
            await self._bus.send(
                Address(self._topic, LOCATE_KEY), message, Deadline.after(self._terms.patience), Priority.INDICATION
            )
        except BusError as error:
            log.warning("nobody was looked for: %s", error)

    async def _refresh(self, agent: str) -> None:
        """Ask an agent for all that it has."""
        for _ in range(REFRESHES):
            self.picture.begin(agent)
            missing = list(self._terms.classes)
            for _ in range(REFRESHES):
                came = await asyncio.gather(*(self._fetch(agent, one) for one in missing))
                missing = [one for one, is_here in zip(missing, came, strict=True) if not is_here]
            if not missing and self.picture.finish(agent):
                self._tell_changes()
                return

    async def _fetch(self, agent: str, asked: SchemaId) -> bool:
        try:
            items = await self.query(agent, QueryRequest(What.OBJECT, asked), Deadline.after(self._terms.patience))
        except (NoAnswer, CallRefused, BusError) as error:
            log.info("the %s objects of %s did not come: %s", asked.class_name, agent, error)
            return False
        return self.picture.answered(agent, asked, [one for one in items if isinstance(one, Data)])

    # ---- questions

    async def query(self, agent: str, query: QueryRequest, deadline: Deadline) -> tuple[Item, ...]:
        """What an agent answers.  Raises NoAnswer, CallRefused for an exception, BusError."""
        answer = await self._ask(agent, query, deadline)
        if not isinstance(answer, tuple):
            raise NoAnswer(agent, "answered a query as if it were a call")
        return answer

    async def call(self, target: ObjectId, method: str, arguments: Map, deadline: Deadline) -> Map:
        """The output arguments of a method.

        Raises NoAnswer at the deadline, when the agent is not known, or when the connection is lost: what was asked may
        have been done then, and is not asked for again (S4).  Raises CallRefused for an exception, and BusError.
        """
        if self.picture.agent(target.agent) is None:
            raise NoAnswer(target.agent, "has not been heard of")
        answer = await self._ask(target.agent, MethodRequest(method, target, arguments), deadline)
        if isinstance(answer, tuple):
            raise NoAnswer(target.agent, "answered a call as if it were a query")
        return answer

    async def _ask(self, agent: str, request: Message, deadline: Deadline) -> tuple[Item, ...] | Map:
        correlation_id, inquiry = self._inquiries.open(agent)
        message = to_bus(request, self._bus.own, correlation_id, max(0.0, deadline.remaining()))
        try:
            await self._bus.send(Address(self._direct, agent), message, deadline, Priority.COMMAND)
            async with asyncio.timeout(deadline.remaining()):
                return await inquiry.done
        except TimeoutError:
            raise NoAnswer(agent, "no answer until the deadline") from None
        finally:
            self._inquiries.close(correlation_id)
            if not inquiry.done.cancel() and not inquiry.done.cancelled():
                # Looked at: nobody is to hear of an error that came when nobody waited.
                inquiry.done.exception()

    # ---- what comes in

    def _changed(self, state: BusState, reason: str) -> None:
        if state is BusState.CONNECTED:
            self._connected.set()
        else:
            self._inquiries.lose(f"the connection was lost: {reason}")

    def _receive(self, message: BusMessage) -> None:
        try:
            said = from_bus(message)
        except WireError as error:
            log.info("ignored what came to %s: %s", message.to, error)
            return
        if isinstance(said, (LocateResponse, Heartbeat)):
            self._heard(said, message.user_id)
        elif isinstance(said, Indication):
            self._indicated(said, message.user_id)
        elif isinstance(said, (QueryResponse, MethodResponse, Failure)):
            self._answered(said, message)

    def _heard(self, said: LocateResponse | Heartbeat, user: str) -> None:
        if not self._terms.where.holds(said.attributes.to_map()):
            return
        heard = self.picture.heard(said.agent, said.attributes, user, self._clock())
        if heard in (Heard.IMPOSTOR, Heard.TOO_MANY):
            log.warning("user %r speaks as agent %s, and is not believed: %s", user, said.agent, heard.value)
            return
        if heard is not Heard.ALIVE:
            log.info("agent %s: %s", said.agent, heard.value)
            self._tell_changes()
        known = self.picture.agent(said.agent)
        if known is not None and not known.synced:
            self._begin_refresh(said.agent)

    def _indicated(self, said: Indication, user: str) -> None:
        believed = self.picture.told(
            said.agent, [one for one in said.items if isinstance(one, Data)], user, self._clock()
        )
        if believed:
            self._tell_changes()
        if self.picture.agent(said.agent) is None or not self.picture.believes(said.agent, user):
            return
        for one in said.items:
            if isinstance(one, Event):
                for sink in self._event_sinks:
                    sink(said.agent, one)

    def _answered(self, said: QueryResponse | MethodResponse | Failure, message: BusMessage) -> None:
        if not self.picture.believes(said.agent, message.user_id):
            log.warning("user %r answers as agent %s, and is not believed", message.user_id, said.agent)
        elif not self._inquiries.take(message.correlation_id, said):
            log.info("an answer of %s to no question: %s", said.agent, message.correlation_id)

    def _begin_refresh(self, agent: str) -> None:
        if not self._running or agent in self._refreshing:
            return
        task = asyncio.create_task(self._refresh(agent))
        self._refreshing[agent] = task
        task.add_done_callback(lambda _: self._refreshing.pop(agent, None))

    def _tell_changes(self) -> None:
        for sink in self._change_sinks:
            sink()
