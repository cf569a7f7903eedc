"""Tells whom an operator has confirmed dead (S13)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Confirmed


class OperatorWitness:
    """An operator vouches that a host is off, and stays off until its daemon is heard again."""

    def __init__(self, confirmed: Callable[[HostId], Confirmed | None]) -> None:
        """``confirmed``: the record that stands for a host, if one does."""
        self._confirmed = confirmed

    async def run(self) -> None:
        """Nothing to do between two questions."""
        await asyncio.get_running_loop().create_future()

    async def ask(self, question: AskProof) -> Finding:
        """The record counts for the incarnation of which it was made, and for no later one."""
        record = self._confirmed(question.host)
        if record is None or record.incarnation != question.incarnation:
            advice = f"`fence_virtctl host confirm-dead {question.host}` if you have made sure that it is off"
            return Finding(Witness.OPERATOR, Fate.UNKNOWN, advice)
        text = f"{record.who} confirmed at {record.when} that {question.host} is dead"
        return Finding(Witness.OPERATOR, Fate.OFF, text)
