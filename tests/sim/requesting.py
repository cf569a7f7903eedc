"""Decides how requests enter a simulation: as what, from whom, at which host."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fencebus_agent.memory_machines import Hold
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceRequest, RequestId, Source, Uuid
from tests.sim.asked import Asked
from tests.sim.desk import digest_of
from tests.sim.happening import Happening, Kind

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


def ask(sim: Simulation, each: Happening) -> None:
    """A request arrives at a host, if its source runs and the daemon lives."""
    _arrive(sim, each, each)


def ask_again(sim: Simulation, each: Happening) -> None:
    """The very same request arrives once more (S7)."""
    for first in sim.plan.happenings:
        if first.kind is Kind.ASK and first.number == each.number:
            _arrive(sim, each, first)


def give_up(sim: Simulation, each: Happening) -> None:
    """The connection is closed; nobody hears the answer."""
    for asked in sim.oracle.asked:
        if asked.number == each.number and asked.gone_at is None:
            asked.gone_at = sim.now


def _arrive(sim: Simulation, each: Happening, first: Happening) -> None:
    host = sim.hosts[each.host]
    source = list(sim.names)[first.source] if first.source >= 0 else None
    life = _life(sim, source)
    if host.daemon is None or (source is not None and not life):
        sim.note("   (nobody there)")
        return
    host.run_in(host.daemon, partial(_enter, sim, each, first, life))


def _enter(sim: Simulation, each: Happening, first: Happening, life: str) -> None:
    """The daemon reads it: late, if it was stopped."""
    host = sim.hosts[each.host]
    if host.daemon is None:
        return
    vms, clock, action = list(sim.names), host.now, Action[first.action]
    vm, source = vms[first.vm], vms[first.source] if first.source >= 0 else None
    request = FenceRequest(
        RequestId(each.request),
        action,
        sim.names[vm] if first.by_name else vm,
        Source(source or "operator", source, known=source is not None),
        "sim",
        Deadline(clock() + first.span, clock),
        clock(),
        first.number,
        first.request.encode(),
    )
    asked = Asked(
        first.number,
        request.id,
        digest_of(request),
        action,
        vm,
        first.by_name,
        source,
        life,
        host.place,
        sim.now,
        sim.now + first.span,
    )
    sim.oracle.ask(asked)
    host.daemon.desk.arrive(asked, request)


def _life(sim: Simulation, vm: Uuid | None) -> str:
    """The life of a VM that runs now; a guest that stands still asks for nothing."""
    running = (writer.life for writer in sim.world.writers() if writer.vm == vm and writer.hold is Hold.RUNS)
    return next(running, "")
