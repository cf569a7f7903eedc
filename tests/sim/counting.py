"""Decides what the hosts' own cluster says of a machine's part of it: who is in it, and whether it is the greater one.

The truth is the network's.  The cluster notices a cut as late as it looks: corosync's token is lost only after a while.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fencebus_schemas.model import HostId

if TYPE_CHECKING:
    from tests.sim.daemon import Daemon
    from tests.sim.host import SimHost
    from tests.sim.simulation import Simulation

LOOKS = 1.0
"""Seconds between two looks of a carrier that counts."""


def nodes(sim: Simulation) -> frozenset[HostId]:
    """Everybody who has a vote, by the machine's own name."""
    return frozenset(each.place for each in sim.hosts[: sim.plan.hosts])


def together(sim: Simulation, here: SimHost) -> frozenset[HostId]:
    """Those with a vote to whom ``here`` can speak, both ways; itself among them if it is in its cluster."""
    voting = sim.hosts[: sim.plan.hosts]
    return frozenset(each.place for each in voting if each.in_cluster and not _parted(sim, here, each))


def is_quorate(sim: Simulation, here: SimHost) -> bool:
    """More than half of the votes are in this part."""
    return 2 * len(together(sim, here)) > len(nodes(sim))


class Counting:
    """The carrier's word on quorum, for one daemon, where the carrier counts."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self._sim = daemon, daemon.sim

    def begin(self) -> None:
        """Look now, and again and again."""
        if self._sim.plan.counted:
            self._daemon.federation.quorum(is_quorate(self._sim, self._daemon.host))
            self._daemon.scheduler.after(LOOKS, partial(self._daemon.run, self.begin))


def _parted(sim: Simulation, one: SimHost, two: SimHost) -> bool:
    cut = sim.network.cut
    return bool(cut.get((one.index, two.index)) or cut.get((two.index, one.index)))
