"""Decides when one attempt to end a VM has come to something: gathers the look, the exits and libvirt's answer as
they arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fencebus_agent.death import Decision, End, Finding, Lingering, Look, judge, judge_rest, judge_unseen
from fencebus_agent.libvirt_driver.killing import Sight
from fencebus_agent.patience import set_by
from fencebus_agent.process_watch import Watched, last_exit
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid


class Attempt:
    """What is known so far.  Lives on the asyncio loop; ``changed`` is set whenever there is more."""

    def __init__(self, vm: Uuid) -> None:
        self.vm = vm
        self.sight: Sight | None = None
        self.look: Look | None = None
        self.processes: Sequence[Watched] = ()
        self.end: End | None = None
        self.lingering: Lingering | None = None
        self.buried = asyncio.Event()
        """Set once libvirt and the kernel have finished with the domain, and what must be remembered is."""
        self.changed = asyncio.Event()
        self.failure: BaseException | None = None

    def saw(self, sight: Sight, look: Look, processes: Sequence[Watched], lingering: Lingering | None) -> None:
        """The thread has looked; ``look`` is its own with this host's record added."""
        self.sight, self.look, self.processes, self.lingering = sight, look, processes, lingering
        self.changed.set()

    @property
    def killed(self) -> bool:
        """True once a kill is on its way."""
        return self.sight is not None and not self.sight.at_rest

    @property
    def processes_ended(self) -> bool:
        """True once every process that was to be killed has ended."""
        return self.killed and last_exit(self.processes) is not None

    @property
    def rests(self) -> bool:
        """True where nothing was killed, and a process that libvirt does not own up to is waited for."""
        return self.sight is not None and self.sight.at_rest and self.finding.decision is Decision.WAIT

    @property
    def finding(self) -> Finding:
        """What the evidence says now."""
        if self.sight is None or self.look is None:
            return Finding(Decision.WAIT, why="the hypervisor has not answered")
        if self.sight.at_rest:
            alive = sum(process.exited_at is None for process in self.processes)
            return judge_rest(self.look, alive, self.lingering)
        if self.look.watched and not self.processes:
            return judge_unseen(self.end, self.sight.hidden)
        return judge(self.look, last_exit(self.processes), self.end, self.lingering)

    @property
    def concluded(self) -> bool:
        """True when there is nothing to wait for: a decision, a failure, or a VM at rest, to be looked at again."""
        return self.failure is not None or self.rests or self.finding.decision is not Decision.WAIT

    async def conclusion(self, deadline: Deadline) -> None:
        """Return when concluded, or at the deadline."""
        while not self.concluded and not deadline.expired:
            self.changed.clear()
            await set_by(self.changed, deadline)

    async def burial(self, deadline: Deadline) -> bool:
        """Return once nothing of the attempt is under way, or at the deadline; say which."""
        return await set_by(self.buried, deadline)
