"""Asks a host's own fence agent whether the host is off, and with leave has it switched off (S13).

A shell: what to ask next, and what the answers prove, is decided in ``host_agents``; whether a host may be switched
off, in ``restraint``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs import host_agents, restraint
from fencebus_host.proofs.attempts import Attempts
from fencebus_host.proofs.host_agents import Leave, Run
from fencebus_host.proofs.restraint import Company, Limits
from fencebus_host.routers.fence_agent import process
from fencebus_host.routers.fence_agent.contract import Finished, Options, Verb, secrets_of, stdin_text, without
from fencebus_host.routers.fence_agent.process import Account
from fencebus_host.routers.fence_agent.rights import why_cannot_run_as
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import HostId

log = logging.getLogger(__name__)

ACT_SECONDS = 30.0
"""Seconds that an ``off`` and the look behind it may take, longer than a guest's patience: it is not broken off."""


@dataclass(frozen=True, slots=True)
class HostAgent:
    """How one host is reached behind its own back."""

    program: Path
    options: Options = ()
    plug: str | None = None
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Acting:
    """Where hosts may be switched off (``host_fencing = "act"``)."""

    limits: Limits
    attempts: Attempts
    company: Callable[[], Company]
    is_silent: Callable[[HostId], bool]
    """Still, directly before the act."""


class FenceAgentWitness:
    """The agents of all hosts that have one."""

    def __init__(
        self, agents: Mapping[HostId, HostAgent], acting: Acting | None = None, clock: Clock = boottime
    ) -> None:
        """``acting``: ``None`` to look and never act."""
        self._agents, self._acting, self._clock = dict(agents), acting, clock
        self._turns = {host: asyncio.Lock() for host in agents}
        self._deeds: set[asyncio.Task[Finding]] = set()

    async def run(self) -> None:
        """Nothing to do between two questions."""
        await asyncio.get_running_loop().create_future()

    async def ask(self, question: AskProof) -> Finding:
        """A look that began after the question; one that acts goes on though nobody waits any more."""
        host = question.host
        if host not in self._agents:
            return Finding(Witness.FENCE_AGENT, Fate.UNKNOWN, "")
        task = asyncio.create_task(self._in_turn(question), name=f"host {host}")
        self._deeds.add(task)
        task.add_done_callback(self._deeds.discard)
        try:
            async with asyncio.timeout(max(question.until - self._clock(), 0.0)):
                return await asyncio.shield(task)
        except TimeoutError:
            return _cut_off(f"{self._name(host)} has not answered yet")

    async def _in_turn(self, question: AskProof) -> Finding:
        host = question.host
        async with self._turns[host]:
            if self._clock() >= question.until:
                return _cut_off(f"{self._name(host)} was busy")
            return await self._course(question)

    async def _course(self, question: AskProof) -> Finding:
        host, runs, refusal = question.host, list[Run](), ""
        leave = Leave.ACT if question.may_act and self._acting is not None else Leave.LOOK
        deadline = Deadline(question.until, self._clock)
        while verb := host_agents.next_verb(runs, leave):
            if verb is Verb.OFF:
                refusal = self._refusal(question)
                if refusal:
                    break
                deadline = Deadline.after(ACT_SECONDS, self._clock)
            runs.append(Run(verb, await self._run(host, verb, deadline)))
        return host_agents.says(host, self._name(host), runs, refusal)

    def _refusal(self, question: AskProof) -> str:
        acting, host, now = self._acting, question.host, self._clock()
        assert acting is not None
        refusal = restraint.why_not(host, acting.attempts.last, acting.company(), acting.limits, now)
        if not acting.is_silent(host):
            refusal = f"{host} has been heard again"
        if refusal:
            log.warning("request=%s %s is not switched off: %s", question.request, host, refusal)
            return refusal
        try:
            acting.attempts.note(host, now)
        except OSError as error:
            return f"the attempt could not be written down: {error.strerror or error}"
        log.warning("request=%s switching off the silent host %s by %s", question.request, host, self._name(host))
        return ""

    async def _run(self, host: HostId, verb: Verb, deadline: Deadline) -> Finished:
        agent = self._agents[host]
        if lacking := why_cannot_run_as(agent.account):
            return Finished(None, ended_for=lacking)
        ours = (("plug", agent.plug),) if agent.plug is not None else ()
        try:
            told = await process.run(agent.program, stdin_text(agent.options, verb, ours), agent.account, deadline)
        except OSError as error:
            return Finished(None, ended_for=f"it cannot be run: {error.strerror or error}")
        if verb is Verb.OFF:
            complaint = without(secrets_of(agent.options), told.trouble)
            log.warning("%s told to switch off %s: %s", self._name(host), host, "done" if told.done else complaint)
        return Finished(told.status, told.output, without(secrets_of(agent.options), told.complaint), told.ended_for)

    def _name(self, host: HostId) -> str:
        return self._agents[host].program.name


def _cut_off(text: str) -> Finding:
    return Finding(Witness.FENCE_AGENT, Fate.UNKNOWN, text, cut_off=True)
