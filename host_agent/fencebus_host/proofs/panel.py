"""Asks all witnesses about a host's death at once, and decides whose word counts.

``weigh`` decides and is pure; the panel is a shell.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness

log = logging.getLogger(__name__)

_WEIGHT = {Fate.ALIVE: 3, Fate.OFF: 2, Fate.FENCED: 1, Fate.POWERED: 0, Fate.UNKNOWN: 0}
_TO_BE_ACTED_ON = (Fate.UNKNOWN, Fate.FENCED, Fate.POWERED)


class HostWitness(Protocol):
    """One way to learn that a host is dead; it never guesses."""

    async def run(self) -> None:
        """Whatever has to go on between two questions; returns only when cancelled."""

    async def ask(self, question: AskProof) -> Finding:
        """What it says, by ``question.until``."""


def weigh(findings: Sequence[Finding], host: str) -> Finding:
    """Who sees the host alive outweighs everybody; off outweighs fenced once.  Doubts are told together."""
    if not findings:
        return Finding(Witness.OPERATOR, Fate.UNKNOWN, f"nothing is configured that could tell whether {host} is dead")
    best = max(findings, key=lambda finding: _WEIGHT[finding.fate])
    if since := _switched_on_since(findings):
        return since
    if _WEIGHT[best.fate]:
        return best
    doubts = "; ".join(finding.text for finding in findings if finding.text)
    return Finding(best.by, best.fate, doubts, cut_off=any(finding.cut_off for finding in findings))


def is_to_be_acted_on(question: AskProof, found: Finding) -> bool:
    """Whether those that may act are asked again with leave: not where looking is enough, nor for who is alive."""
    return question.may_act and found.fate in _TO_BE_ACTED_ON


def _switched_on_since(findings: Sequence[Finding]) -> Finding | None:
    """S13: a history that says off is of a host that somebody has switched on again, if its power is on now.

    An operator's word stands: power says nothing about a host whose other cables were pulled.
    """
    powered = next((finding for finding in findings if finding.fate is Fate.POWERED), None)
    offs = [finding for finding in findings if finding.fate is Fate.OFF]
    if powered is None or not offs or any(off.by is not Witness.PACEMAKER for off in offs):
        return None
    return Finding(powered.by, Fate.ALIVE, f"{offs[0].text}, but {powered.text}")


class Panel:
    """Implements ``Witnesses``."""

    def __init__(self, witnesses: Sequence[HostWitness]) -> None:
        self._witnesses = witnesses

    async def run(self) -> None:
        """Keep all witnesses going; returns only when cancelled."""
        async with asyncio.TaskGroup() as group:
            for witness in self._witnesses:
                group.create_task(witness.run())
            await asyncio.get_running_loop().create_future()

    async def ask(self, question: AskProof) -> Finding:
        """All at once; nobody acts where looking is enough, or where somebody sees the host alive."""
        found = weigh(await self._asked(replace(question, may_act=False)), question.host)
        if is_to_be_acted_on(question, found):
            return weigh(await self._asked(question), question.host)
        return found

    async def _asked(self, question: AskProof) -> list[Finding]:
        """A defect in one witness is its own doubt."""
        answers = await asyncio.gather(*(each.ask(question) for each in self._witnesses), return_exceptions=True)
        for defect in (answer for answer in answers if isinstance(answer, Exception)):
            log.error("request=%s defect in a witness of %s", question.request, question.host, exc_info=defect)
        return [answer for answer in answers if isinstance(answer, Finding)]
