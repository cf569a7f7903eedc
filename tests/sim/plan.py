"""What a schedule is made of: machines, VMs and happenings; all of it values, so that one can be shrunk and told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.sim.happening import FAULTS, Happening, Kind

ALONE, OUTSIDE = "without its cluster and fencebus", "without its cluster"
"""How a host may come back after its cluster has fenced it."""


@dataclass(frozen=True, slots=True)
class VmPlan:
    """A VM at the beginning: where it runs, and where else it is defined."""

    host: int
    name: str
    running: bool = True
    persistent: bool = True
    defined: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole schedule.  Machines are numbered; those that join later, twins and strangers come after the first."""

    seed: int
    hosts: int
    """Machines with a daemon from the beginning."""
    vms: tuple[VmPlan, ...]
    happenings: tuple[Happening, ...]
    joiners: int = 0
    """Machines whose daemon starts later."""
    strangers: int = 0
    """Machines that never run a daemon."""
    configured: bool = True
    """``hosts`` is configured, with all that have a daemon from the beginning."""
    blind: tuple[int, ...] = ()
    """Machines on which births older than the daemon are not known."""
    cluster: bool = False
    """The hosts are a cluster of their own, whose history tells whom it has fenced (S13)."""
    agents: bool = False
    """The power of every host can be asked for."""
    acts: bool = False
    """A silent host may be switched off for what it had."""
    counted: bool = False
    """The carrier counts the hosts and tells each whether its part of them has a quorum, as corosync does."""
    length: float = 45.0

    @property
    def faults(self) -> frozenset[Kind]:
        """The kinds of faults in it."""
        return frozenset(each.kind for each in self.happenings if each.kind in FAULTS)

    def without(self, index: int) -> Plan:
        """The same without one happening."""
        return replace(self, happenings=self.happenings[:index] + self.happenings[index + 1 :])


def host_name(index: int) -> str:
    """What a machine is called in stories."""
    return f"host{index + 1}"


def vm_name(index: int) -> str:
    """What a VM is called in stories."""
    return f"vm{index + 1}"


def words(plan: Plan, each: Happening) -> str:
    """One happening as a sentence."""
    source = vm_name(each.source) if each.source >= 0 else "an operator"
    return each.kind.value.format(
        who=source,
        host=host_name(each.host),
        other=host_name(each.other) if each.other < plan.hosts + plan.joiners else "a host without fencebus",
        vm=vm_name(each.vm),
        span=each.span,
        rate=each.rate,
        number=each.number,
        action=each.action.lower(),
        by_name=" by its name" if each.by_name else "",
        end=f" ({each.end})" if each.end else "",
        autostart="; its VMs start by themselves" if each.rate else "",
        mask=", ".join(host_name(index) for index in each.mask),
    )
