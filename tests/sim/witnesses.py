"""Decides what a daemon's witnesses say of other hosts' deaths: a host cluster's history, a power agent, operators.

The truth is the world's; what a witness makes of it is decided by the product's own ``FenceHistory``, ``Confirmations``
and ``weigh``.  Answers take their time, and some never come.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs.cluster_view import ClusterView
from fencebus_host.proofs.fence_history import FenceHistory
from fencebus_host.proofs.panel import weigh
from tests.sim import counting

if TYPE_CHECKING:
    from tests.sim.daemon import Daemon

LOOKS = 5.0
"""Seconds between two looks at the cluster."""
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
        findings = [each for each in (self._cluster(question), self._agent(question), self._operator(question)) if each]
        finding = weigh(findings, question.host)
        self._daemon.scheduler.after(delay, partial(self._daemon.run, partial(self._tell, question, finding)))

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
        plan, place = self._sim.plan, question.host
        if not plan.agents or place not in self._sim.by_place:
            return None
        silent = self._daemon.ownership.is_silent(place, self._daemon.now())
        if self._sim.world.is_up(place) and plan.acts and question.may_act and silent:
            self._sim.power_off(self._sim.by_place[place], 5.0 + 10.0 * self._daemon.chance())
        is_off = not self._sim.world.is_up(place)
        return Finding(Witness.FENCE_AGENT, Fate.OFF if is_off else Fate.ALIVE, f"the power of {place} is {not is_off}")

    def _operator(self, question: AskProof) -> Finding | None:
        record = self._daemon.ownership.confirmations.standing(question.host)
        if record is None or record.incarnation != question.incarnation:
            return None
        return Finding(Witness.OPERATOR, Fate.OFF, f"{record.who} confirmed that {question.host} is dead")
