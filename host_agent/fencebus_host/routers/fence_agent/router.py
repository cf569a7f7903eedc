"""The fence_agent router: brings what an agent says about a VM, never a success; a shell around the course."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence

from fencebus_agent.hypervisor import HypervisorError, Permit, UnknownDomain
from fencebus_host.config.fence_agent_settings import AgentSettings
from fencebus_host.routers.fence_agent import course
from fencebus_host.routers.fence_agent.agent import Agent
from fencebus_host.routers.fence_agent.contract import Power, Verb, power_of
from fencebus_host.routers.fence_agent.course import Kind, Said
from fencebus_host.routers.fence_agent.listing import read_list
from fencebus_host.routers.fence_agent.plugs import Plug, derived_uuid, matching, with_power
from fencebus_host.routers.fence_agent.walk import walk
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Life, Observation, Proof, Uuid, VmRecord, VmState, as_uuid

log = logging.getLogger(__name__)

NEWS = 5.0
"""Seconds for which a list also counts for a VM that is not in it, and for one that is about to be ended."""
MOST_ASKED = 16
"""VMs whose status is asked one by one for a list; of others it is unknown, which guests see as on."""
CHECK_SECONDS = 20.0
CHECK_EVERY = 300.0
CHECK_AGAIN = 30.0
"""The same while the agent cannot be used."""
_STATES = {Power.ON: VmState.RUNNING, Power.OFF: VmState.OFF, Power.UNKNOWN: VmState.UNKNOWN}


class FenceAgentRouter:
    """One hypervisor manager's VMs, through one agent.

    host, incarnation: who speaks in observations; the agent says nothing of the host on which a VM runs.
    """

    def __init__(self, settings: AgentSettings, agent: Agent, host: HostId, incarnation: Incarnation) -> None:
        self.name = settings.name
        self.trouble: str | None = "not asked yet"
        self._agent = agent
        self._host, self._incarnation = host, incarnation
        self._mapped = tuple(_mapped(settings))
        self._list_seconds = settings.list_seconds
        self._listed: tuple[float, tuple[Plug, ...]] | None = None
        self._listing = asyncio.Lock()

    async def run(self) -> None:
        """Ask from time to time whether the agent can be used, and say in the log when that changes."""
        while True:
            before, self.trouble = self.trouble, await self._looked()
            if self.trouble and self.trouble != before:
                log.warning("router %s", self.trouble)
            elif before and not self.trouble:
                log.info("router %s: the agent answers", self.name)
            await asyncio.sleep(CHECK_AGAIN if self.trouble else CHECK_EVERY)

    async def _looked(self) -> str | None:
        try:
            await self.check(Deadline.after(CHECK_SECONDS))
        except HypervisorError as error:
            return str(error)
        return None

    async def check(self, deadline: Deadline) -> None:
        """The agent's ``monitor`` succeeds, and a real question is answered too: the ``monitor`` of some agents is
        green with a wrong password (facts: managers 0.6).
        """
        run = await self._agent.ask(Verb.MONITOR, None, deadline)
        if not run.done:
            raise HypervisorError(self.name, f"its monitor failed: {run.trouble}")
        if not self._mapped:
            if not await self._plugs(deadline, NEWS):
                raise HypervisorError(self.name, "it lists no VM: look at its credentials and permissions")
            return
        seen = await self._agent.ask(Verb.STATUS, self._mapped[0].plug, deadline)
        if power_of(seen) is Power.UNKNOWN:
            raise HypervisorError(self.name, f"it cannot tell the status of {self._mapped[0].name}: {seen.trouble}")

    # -- looking ----------

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """The VM with its status as it is now; several if the name is ambiguous, which are not asked about."""
        try:
            found = await self._looked_up(target, deadline)
            if len(found) != 1:
                return Evidence(tuple(self._record(plug, VmState.UNKNOWN) for plug in found))
            run = await self._agent.ask(Verb.STATUS, found[0].plug, deadline)
        except HypervisorError as error:
            return Evidence((), silent=(str(error),))
        power = power_of(run)
        if power is Power.UNKNOWN:
            log.warning("router %s: the status of %s cannot be told: %s", self.name, found[0].name, run.trouble)
        return Evidence((self._record(found[0], _STATES[power]),))

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """The VMs of the map, or of the agent's list; with a state only where that list has one."""
        known = await self._mapped_powers(deadline) if self._mapped else await self._plugs(deadline, NEWS)
        return [self._record(plug, _STATES[plug.power]) for plug in known]

    async def _mapped_powers(self, deadline: Deadline) -> Sequence[Plug]:
        """The map with states: of the agent's list if that has them, else of some VMs one by one."""
        if (await self._agent.metadata(deadline)).lists is Verb.LIST_STATUS:
            return with_power(self._mapped, await self._plugs(deadline, NEWS))
        asked = self._mapped[:MOST_ASKED]
        runs = await asyncio.gather(*(self._agent.ask(Verb.STATUS, each.plug, deadline) for each in asked))
        seen = [dataclasses.replace(each, power=power_of(run)) for each, run in zip(asked, runs, strict=True)]
        return [*seen, *self._mapped[MOST_ASKED:]]

    async def _looked_up(self, target: str, deadline: Deadline) -> Sequence[Plug]:
        if self._mapped:
            return matching(self._mapped, target)
        found = matching(await self._plugs(deadline, self._list_seconds), target)
        return found or matching(await self._plugs(deadline, NEWS), target)

    async def _plugs(self, deadline: Deadline, fresh: float) -> Sequence[Plug]:
        """The agent's list, not older than ``fresh`` seconds.  Whoever waits for the one that is made gets it too."""
        async with self._listing:
            now = deadline.clock()
            if self._listed is None or now - self._listed[0] > fresh:
                self._listed = (now, await self._list_anew(deadline))
            return self._listed[1]

    async def _list_anew(self, deadline: Deadline) -> tuple[Plug, ...]:
        verb = (await self._agent.metadata(deadline)).lists
        if verb is None:
            raise HypervisorError(self.name, "it has no list: map each VM to its plug (`vm { ... }`)")
        run = await self._agent.ask(verb, None, deadline)
        if not run.done:
            raise HypervisorError(self.name, f"its {verb.value} failed: {run.trouble}")
        listing = read_list(run.output, self.name, verb is Verb.LIST_STATUS)
        for line in listing.left_out[:10]:
            log.warning("router %s: left out of the list: %.100r", self.name, line)
        return listing.plugs

    # -- acting ----------

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """``off``, then ``status`` until it is proven; whatever came of it is an observation."""
        return await self._act(Verb.OFF, vm, found, deadline, permit)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """``on``, then ``status`` until it says ON.  Raises HypervisorError if it never does."""
        evidence = await self._act(Verb.ON, vm, found, deadline, permit)
        (seen,) = evidence.observations
        if seen.state is not VmState.RUNNING:
            raise HypervisorError(self.name, seen.detail.removeprefix(f"{self.name}: "))
        return evidence

    async def _act(self, goal: Verb, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        records = [record for record in found.records if record.uuid == vm]
        if len(records) != 1:
            raise UnknownDomain(self.name, f"{vm} stands for {len(records)} plugs")
        plug, was = await self._plug_of(records[0], deadline), records[0].state
        said = await walk(self._agent, goal, plug.plug, deadline, permit)
        seen = self._observation(goal, vm, was, said, deadline.clock())
        return dataclasses.replace(found, observations=(seen,))

    async def _plug_of(self, record: VmRecord, deadline: Deadline) -> Plug:
        """Directly before an act the list is read anew: managers give the plugs of deleted VMs to others (S8)."""
        known = self._mapped or await self._plugs(deadline, NEWS)
        found = [plug for plug in known if plug.vm == record.uuid and plug.name == record.name]
        if len(found) != 1:
            raise UnknownDomain(self.name, f"{record.name} is no longer what it was a moment ago")
        return found[0]

    # -- words ----------

    def _record(self, plug: Plug, state: VmState) -> VmRecord:
        return VmRecord(plug.vm, plug.name, state, self._host, self._incarnation, hypervisor=self.name)

    def _observation(self, goal: Verb, vm: Uuid, was: VmState, said: Sequence[Said], now: float) -> Observation:
        """The agent's word, if it is one.  Agents tell no lives apart: the mark of the one that ended is the time."""
        proven = course.next_step(goal, said).kind is Kind.PROVEN
        off = proven and goal is Verb.OFF
        on = course.power_now(said) is Power.ON
        return Observation(
            vm=vm,
            state=VmState.OFF if off else VmState.RUNNING if on else VmState.UNKNOWN,
            host=self._host,
            incarnation=self._incarnation,
            proof=Proof.HYPERVISOR_WORD if off else Proof.NONE,
            seen_at=now,
            was=was,
            ended=Life(f"{self.name} {now:.3f}") if off and was is not VmState.OFF else None,
            detail="" if proven else f"{self.name}: {course.missing(goal, said)}",
            hypervisor=self.name,
        )


def _mapped(settings: AgentSettings) -> Sequence[Plug]:
    made = [(as_uuid(vm.uuid or "") or derived_uuid(settings.name, vm.plug), vm) for vm in settings.vms]
    return [Plug(uuid, vm.name, vm.plug) for uuid, vm in made]
