"""Asks the other hosts what they see of a VM and whether they would obey, and answers when they ask; nothing is done.

No machine that decides about a fence hears of it: a rehearsal sets no guard, takes no token and is in nobody's way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from fencebus_agent.hypervisor import HypervisorError, SightedHypervisor
from fencebus_host.routers.federated.carrier import Carrier
from fencebus_schemas.deadline import Clock, Deadline
from fencebus_schemas.model import FenceRequest, HostId, Incarnation, Reason, RequestId, Sight, Uuid, VmState
from fencebus_schemas.peer import EVERYONE, Message, Rehearse, Rehearsed

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
"""A hypervisor that has not answered by then cannot say; whoever asks waits a little longer."""
MOST_AT_ONCE = 2
"""Looks for others' rehearsals; a question more is not answered, so that no fence waits for the driver's threads."""

Permits = Callable[[Rehearse], bool]
"""S6: this host's own policy."""


@dataclass(frozen=True, slots=True)
class _Round:
    """What has been said to one question."""

    awaited: frozenset[HostId]
    words: dict[HostId, Rehearsed] = field(default_factory=dict)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, word: Rehearsed) -> None:
        """One more has answered."""
        self.words[word.sender] = word
        if self.awaited <= self.words.keys():
            self.enough.set()


class Rehearsals:
    """One host's part in the rehearsals of all."""

    def __init__(
        self,
        me: HostId,
        incarnation: Incarnation,
        hypervisor: SightedHypervisor,
        carrier: Carrier,
        permits: Permits,
        clock: Clock,
        obeys: bool = True,
    ) -> None:
        """``obeys``: False in a dry run, where nothing is carried out, whoever orders it."""
        self._me, self._incarnation, self._hypervisor = me, incarnation, hypervisor
        self._carrier, self._permits, self._clock = carrier, permits, clock
        self._obeys = obeys
        self._rounds: dict[RequestId, _Round] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def takes(self, message: Message) -> bool:
        """Whether the message is about a rehearsal; what there is to do about it is done."""
        if isinstance(message, Rehearse):
            if message.sender != self._me and len(self._looks) < MOST_AT_ONCE:
                look = asyncio.create_task(self._answer(message), name="rehearsal")
                self._looks.add(look)
                look.add_done_callback(self._looks.discard)
            return True
        if isinstance(message, Rehearsed):
            if round_ := self._rounds.get(message.request):
                round_.hear(message)
            return True
        return False

    async def ask(
        self, request: FenceRequest, vm: Uuid, label: str | None, awaited: Collection[HostId], deadline: Deadline
    ) -> Mapping[HostId, Rehearsed]:
        """What is said by those who are awaited, and by who else is quick; whoever is silent until the deadline is
        missing.  ``label`` is that of the source's guest cluster.
        """
        wish = (vm, request.source, label, request.target, request.via)
        question = Rehearse(self._me, self._incarnation, EVERYONE, request.id, *wish)
        round_ = self._rounds[request.id] = _Round(frozenset(awaited))
        try:
            self._carrier.send(question)
            async with asyncio.timeout(deadline.remaining()):
                round_.hear(await self._word(question))
                await round_.enough.wait()
        except TimeoutError:
            log.debug("rehearsal %s: only %s have answered", request.id, ", ".join(round_.words))
        finally:
            del self._rounds[request.id]
        return round_.words

    async def _answer(self, question: Rehearse) -> None:
        self._carrier.send(await self._word(question))

    async def _word(self, question: Rehearse) -> Rehearsed:
        refusal = None if self._permits(question) else Reason.DENIED
        refusal = refusal if self._obeys else Reason.PAUSED
        sight = await self._look(question.vm)
        return Rehearsed(self._me, self._incarnation, question.sender, question.request, sight, refusal)

    async def _look(self, vm: Uuid) -> Sight:
        try:
            return await self._hypervisor.look(vm, Deadline.after(LOOK_SECONDS, self._clock))
        except HypervisorError as error:
            return Sight(vm, VmState.UNKNOWN, detail=str(error))
