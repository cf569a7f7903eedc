"""Runs a QMF agent alone: a hypervisor that is only looked at, a bus, and what consoles see between them.

Nobody can command it: every method call is refused, and libvirt is opened read-only.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence

from fencebus_agent.agentd_options import PROGRAM, Errand
from fencebus_agent.bus import Bus, BusState
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_agent.hypervisor import Hypervisor
from fencebus_agent.libvirt_driver import LibvirtDescriber, LibvirtHypervisor
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_agent.qmf_details import Describer
from fencebus_agent.qmf_epoch import next_epoch
from fencebus_agent.qmf_inventory import Inventory
from fencebus_schemas.model import HostId, Incarnation

log = logging.getLogger(__name__)


class LoneAgent:
    """Build it on the loop."""

    def __init__(
        self, terms: AgentTerms, bus: Bus, hypervisor: Hypervisor, describers: Sequence[Describer] = ()
    ) -> None:
        self._bus, self._hypervisor = bus, hypervisor
        self._agent = QmfAgent(bus, terms)
        self._inventory = Inventory(self._agent, [hypervisor], describers=describers)
        bus.watch(self._changed)

    async def run(self) -> None:
        """Show until cancelled; a bus or a hypervisor that is away is waited for."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._bus, self._hypervisor, self._agent, self._inventory):
                    group.create_task(part.run(), name=type(part).__name__)
        finally:
            await self._hypervisor.close()
            await self._bus.close()

    def _changed(self, state: BusState, reason: str) -> None:
        if state is BusState.CONNECTED:
            log.info("agent %s is on %s", self._agent.name, self._bus.name)
        else:
            log.warning("%s: the bus is lost: %s", self._bus.name, reason)


def lone_agent(errand: Errand) -> LoneAgent:
    """The agent that the command line asks for.  Raises BadBusUrl."""
    host = HostId(errand.host)
    bus = bus_at(errand.bus, BusTerms(errand.domain, f"{PROGRAM} on {host}", errand.tls, host=host))
    # Its words go into no other host's picture, where one run is told from another.
    hypervisor = LibvirtHypervisor(errand.uri, host, Incarnation("", "", ""), read_only=True)
    return LoneAgent(
        AgentTerms(host, next_epoch(errand.state_dir), errand.domain), bus, hypervisor, [LibvirtDescriber(hypervisor)]
    )


async def serve(errand: Errand) -> None:
    """Run until a signal ends it.  Raises BadBusUrl."""
    running = asyncio.ensure_future(lone_agent(errand).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()
