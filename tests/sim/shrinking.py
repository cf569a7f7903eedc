"""Decides which happenings a violation needs: the others are taken out, one by one, as long as it stays."""

from __future__ import annotations

from collections.abc import Callable

from tests.sim.plan import Plan
from tests.sim.simulation import Simulation, schedule, tell

Broken = Callable[[Plan], bool]


def breaks(rule: str) -> Broken:
    """True of a plan in which that invariant is broken."""

    def broken(plan: Plan) -> bool:
        return any(each.rule == rule for each in Simulation(plan).run().violations)

    return broken


def shrink(plan: Plan, broken: Broken) -> Plan:
    """The smallest plan that taking out single happenings leads to."""
    index = 0
    while index < len(plan.happenings):
        smaller = plan.without(index)
        if broken(smaller):
            plan, index = smaller, 0
        else:
            index += 1
    return plan


def story(plan: Plan) -> str:
    """What happens in a plan, for people."""
    machines = f"{plan.hosts} hosts" + (", which are configured" if plan.configured else "")
    vms = ", ".join(f"{vm.name} on host{vm.host + 1}{'' if vm.running else ' (off)'}" for vm in plan.vms)
    lines = [f"seed {plan.seed}: {machines}; {vms}", *schedule(plan), "as it went:", *tell(plan)]
    return "\n".join(lines).replace("00000000-0000-4000-8000-00000000000", "vm")
