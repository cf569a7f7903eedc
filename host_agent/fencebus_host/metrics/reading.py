"""Gathers what the daemon's parts know at the moment at which monitoring asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fencebus_host.assembly import Core
from fencebus_host.control_desk import HasState
from fencebus_host.control_health import problems
from fencebus_host.control_view import View, counts
from fencebus_host.routers.federated import FederatedRouter
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import VmState
from fencebus_schemas.status import HostState, PartStatus, Problem


@dataclass(frozen=True, slots=True)
class Standing:
    """How this host stands among the others."""

    connected: bool
    synced: bool
    """Whether every member's VMs are known."""
    quorate: bool
    """True where nothing counts members."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment of the daemon."""

    host: str
    router: str
    started: float
    """Seconds of the Unix clock."""
    vms: dict[str, int]
    """By state; every state is there."""
    members: dict[str, int]
    """Hosts by state; every state is there."""
    parts: dict[str, bool]
    """Whether each works."""
    inflight: int
    paused: bool
    problems: dict[str, int]
    """By code."""
    standing: Standing | None = None
    """None on a host that is alone."""


def reader(
    core: Core, view: Callable[[], View], parts: Callable[[], Iterable[HasState]], started: float
) -> Callable[[], Reading]:
    """What reads; nothing of it waits for anybody."""

    def read() -> Reading:
        seen = view()
        states = tuple(PartStatus(part.name, part.trouble) for part in parts())
        pause = core.pause.current
        return Reading(
            host=core.host,
            router=core.router.name,
            started=started,
            vms=_vms(seen),
            members=_members(seen),
            parts={part.name: part.trouble is None for part in states},
            inflight=len(core.requests.running),
            paused=pause is not None,
            problems=_by_code(problems(seen, states, pause, ())),
            standing=standing_of(core.federated) if core.federated else None,
        )

    return read


def standing_of(router: FederatedRouter, clock: Clock = boottime) -> Standing:
    """How a host among others stands."""
    ownership = router.ownership
    return Standing(router.carrier.trouble is None, not ownership.unread(clock()), ownership.quorate)


def _vms(view: View) -> dict[str, int]:
    found = {each.state: each.vms for each in counts(view.vms.values())}
    return {state.value: found.get(state.value, 0) for state in VmState}


def _members(view: View) -> dict[str, int]:
    states = [host.state for host in view.hosts.values()]
    return {state.value: states.count(state) for state in HostState}


def _by_code(found: Iterable[Problem]) -> dict[str, int]:
    codes = [problem.code for problem in found]
    return {code: codes.count(code) for code in codes}
