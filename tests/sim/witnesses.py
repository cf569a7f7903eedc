"""Decides what a daemon's witnesses say of other hosts' deaths: a host cluster's history, a power agent, operators.

The truth is the world's; what a witness makes of it is decided by the product's own ``FenceHistory``, ``host_agents``,
``Confirmations`` and panel.  Answers take their time, and some never come.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs import host_agents
from fencebus_host.proofs.cluster_view import ClusterView
from fencebus_host.proofs.fence_history import FenceHistory
from fencebus_host.proofs.host_agents import Leave, Run
from fencebus_host.proofs.panel import is_to_be_acted_on, weigh
from fencebus_host.routers.fence_agent.contract import Finished, Verb
from fencebus_schemas.model import HostId
from tests.sim import counting

if TYPE_CHECKING:
    from tests.sim.daemon import Daemon

LOOKS = 5.0
"""Seconds between two looks at the cluster."""
AGENT = "fence_power"
NEVER = 0.05
"""The share of questions that nobody ever answers."""


class Witnesses:
    """Those of one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self._sim = daemon, daemon.sim
        self._history = FenceHistory()

    def begin(self) -> None:
        """Look at the cluster now and then."""
        if self._sim.plan.cluster:
            self._look()
            self._daemon.scheduler.after(LOOKS, partial(self._daemon.run, self.begin))

    def ask(self, question: AskProof) -> None:
        """Answer later, by what is true then."""
        chance, scheduler = self._daemon.chance, self._daemon.scheduler
        if chance() >= NEVER:
            slow = 3.0 if chance() < 0.1 else 0.1
            scheduler.after(slow * chance(), partial(self._daemon.run, partial(self._find, question, slow * chance())))

    def _find(self, question: AskProof, delay: float) -> None:
        if self._sim.plan.cluster:
            self._look()
        finding = self._asked(replace(question, may_act=False))
        if is_to_be_acted_on(question, finding):
            finding = self._asked(question)
        self._daemon.scheduler.after(delay, partial(self._daemon.run, partial(self._tell, question, finding)))

    def _asked(self, question: AskProof) -> Finding:
        answers = (self._cluster(question), self._agent(question), self._operator(question))
        return weigh([each for each in answers if each], question.host)

    def _tell(self, question: AskProof, finding: Finding) -> None:
        self._sim.note(f"{self._daemon.host.place} hears of {question.host}: {finding.text or finding.fate.value}")
        self._daemon.carry(self._daemon.federation.proof_seen(question, finding, self._daemon.now()))

    def _look(self) -> None:
        sim, here = self._sim, self._daemon.host
        devices = frozenset({"fence_ipmilan"})
        online, nodes = counting.together(sim, here), counting.nodes(sim)
        view = ClusterView(counting.is_quorate(sim, here), online, nodes, devices, sim.fencings)
        self._history.looked(view, self._daemon.now())

    def _cluster(self, question: AskProof) -> Finding | None:
        return self._history.says(question.host) if self._sim.plan.cluster else None

    def _agent(self, question: AskProof) -> Finding | None:
        """It asks the power supply, whatever the daemon or the network do; with ``acts`` it cuts the power."""
        place, runs = question.host, list[Run]()
        if not self._sim.plan.agents or place not in self._sim.by_place:
            return None
        leave = Leave.ACT if self._sim.plan.acts and question.may_act else Leave.LOOK
        while verb := host_agents.next_verb(runs, leave):
            if verb is Verb.OFF and not self._daemon.ownership.is_silent(place, self._daemon.now()):
                return host_agents.says(place, AGENT, runs, f"{place} has been heard again")
            runs.append(Run(verb, self._told(verb, place)))
        return host_agents.says(place, AGENT, runs)

    def _told(self, verb: Verb, place: HostId) -> Finished:
        """As the power supply's agent answers."""
        if verb is Verb.OFF:
            self._sim.power_off(self._sim.by_place[place], 5.0 + 10.0 * self._daemon.chance())
            return Finished(0)
        is_up = self._sim.world.is_up(place)
        return Finished(0 if is_up else 2, f"Status: {'ON' if is_up else 'OFF'}")

    def _operator(self, question: AskProof) -> Finding | None:
        record = self._daemon.ownership.confirmations.standing(question.host)
        if record is None or record.incarnation != question.incarnation:
            return None
        return Finding(Witness.OPERATOR, Fate.OFF, f"{record.who} confirmed that {question.host} is dead")
