"""Decides to which question of a console an answer belongs, and when it is complete.

Pure, but for the futures that wait.  Only the agent that was asked is believed.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from fencebus_agent.qmf_calls import CallRefused
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.qmf2_messages import Failure, Item, MethodResponse, QueryResponse

MOST_ITEMS = 100_000
"""Of one answer: an agent that never ends it does not fill the memory."""
Answer = QueryResponse | MethodResponse | Failure


class NoAnswer(FencebusError):
    """An agent did not answer: whatever was asked may have been done, or not."""

    def __init__(self, agent: str, detail: str) -> None:
        super().__init__(agent, detail)
        self.agent = agent
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.agent}: {self.detail}"


@dataclass(slots=True)
class Inquiry:
    """A question that waits for its answer."""

    agent: str
    done: asyncio.Future[tuple[Item, ...] | Map]
    items: list[Item] = field(default_factory=list)
    parts: int = 0

    def take(self, answer: Answer) -> None:
        """One message of the answer."""
        if self.done.done():
            return
        if isinstance(answer, Failure):
            self.done.set_exception(CallRefused(answer.code, answer.text))
        elif isinstance(answer, MethodResponse):
            self.done.set_result(answer.arguments)
        elif answer.part not in (0, self.parts):
            self.done.set_exception(NoAnswer(self.agent, f"part {self.parts} of the answer was lost"))
        else:
            self._add(answer)

    def _add(self, answer: QueryResponse) -> None:
        self.parts += 1
        self.items += answer.items
        if len(self.items) > MOST_ITEMS:
            self.done.set_exception(NoAnswer(self.agent, f"its answer has more than {MOST_ITEMS} items"))
        elif not answer.partial:
            self.done.set_result(tuple(self.items))


class Inquiries:
    """All questions of a console, by their correlation ids: whole numbers, as other consoles have them."""

    def __init__(self) -> None:
        # Not from 1 on: answers to an earlier run of this console are answers to nothing.
        self._last = secrets.randbelow(2**31)
        self._open: dict[str, Inquiry] = {}

    def open(self, agent: str) -> tuple[str, Inquiry]:
        """A new one; call on the loop."""
        self._last += 1
        inquiry = Inquiry(agent, asyncio.get_running_loop().create_future())
        self._open[str(self._last)] = inquiry
        return str(self._last), inquiry

    def close(self, correlation_id: str) -> None:
        """Nobody waits for it any more."""
        self._open.pop(correlation_id, None)

    def take(self, correlation_id: str, answer: Answer) -> bool:
        """An answer came.  False if it answers nothing that this agent was asked."""
        inquiry = self._open.get(correlation_id)
        if inquiry is None or inquiry.agent != answer.agent:
            return False
        inquiry.take(answer)
        return True

    def lose(self, reason: str) -> None:
        """No answer will come any more."""
        for inquiry in self._open.values():
            if not inquiry.done.done():
                inquiry.done.set_exception(NoAnswer(inquiry.agent, reason))
