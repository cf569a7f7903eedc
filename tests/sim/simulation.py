"""Runs a schedule: a world, its machines, the network between them, and an oracle that watches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fencebus_agent.memory_machines import Mark
from fencebus_agent.memory_vm import MemoryVm
from fencebus_agent.memory_world import World, WorldRefusal
from fencebus_host.proofs.cluster_view import FenceEvent
from fencebus_schemas.model import HostId, Uuid
from fencebus_schemas.peer import Message
from tests.sim.asked import Asked
from tests.sim.doing import do
from tests.sim.host import SimHost
from tests.sim.network import Network
from tests.sim.oracle import Oracle
from tests.sim.plan import ALONE, Plan, host_name, words
from tests.sim.scheduler import Scheduler, noise

WARM_UP = 0.3
"""Seconds within which the first daemons start."""


def uuid_of(index: int) -> Uuid:
    """The UUID of a VM in a plan."""
    return Uuid(f"00000000-0000-4000-8000-{index + 1:012d}")


class Simulation:
    """One run of one plan."""

    def __init__(self, plan: Plan, told: bool = False) -> None:
        """``told``: write the story down."""
        self.plan, self.seed = plan, plan.seed
        self.scheduler = Scheduler()
        self.network = Network(plan.seed, self.scheduler)
        self.world = World()
        self.oracle = Oracle(self)
        self.story: list[str] | None = [] if told else None
        self.names = {uuid_of(index): vm.name for index, vm in enumerate(plan.vms)}
        self.hosts = [self._host(index) for index in range(plan.hosts + plan.joiners)]
        self.by_place = {host.place: host for host in self.hosts}
        for index in range(plan.strangers):
            self.world.add_host(HostId(host_name(len(self.hosts) + index)))
        self.fencings: tuple[FenceEvent, ...] = ()
        """The cluster's history, the latest first."""
        self.configured = frozenset(host.name for host in self.hosts[: plan.hosts] if plan.configured)
        self._place_vms()

    def run(self) -> Oracle:
        """Let it all happen."""
        for host in self.hosts[: self.plan.hosts]:
            self.scheduler.at(WARM_UP * noise(self.seed, host.index), host.start_daemon)
        for happening in self.plan.happenings:
            self.scheduler.at(happening.at, partial(do, self, happening))
        self.scheduler.run(self.plan.length)
        self.oracle.close()
        return self.oracle

    # -- what the parts ask ----------

    @property
    def now(self) -> float:
        """The world's clock."""
        return self.scheduler.now

    def send(self, host: SimHost, message: Message) -> None:
        """Give a message to the network."""
        self.network.send(host, message)

    def spread_events(self) -> None:
        """Tell each machine's daemon what its libvirt has just said."""
        for event in self.world.pop_events():
            host = self.by_place.get(event.host)
            if host is not None:
                host.hear(event)

    def power_off(self, host: SimHost, span: float, autostart: bool = True, end: str = "") -> None:
        """The power of a machine goes, and comes back after ``span``; ``end``: what comes not back with it."""
        had_daemon = host.daemon is not None
        self.note(f"{host.place} loses its power")
        self.world.crash(host.place)
        host.end_daemon()
        host.in_cluster = False
        self.spread_events()

        def back() -> None:
            if self.world.is_up(host.place):
                return
            host.boot()
            self.world.boot(host.place, list(self.names) if autostart else [], self.now)
            self.spread_events()
            host.in_cluster = not end
            if had_daemon and end != ALONE:
                self.scheduler.after(0.5 + host.chance(), host.start_daemon)

        self.scheduler.after(span, back)

    def note(self, text: str) -> None:
        """A line of the story."""
        if self.story is not None:
            self.story.append(f"{self.now:8.3f} {text}")

    def began(self, mark: str) -> float:
        """When a life began, by the world's clock."""
        return self.world.life(Mark(mark)).began_at

    def name_of(self, place: HostId) -> HostId:
        """What others call that machine."""
        host = self.by_place.get(place)
        return host.name if host is not None else place

    def memberships(self) -> Iterator[tuple[HostId, frozenset[HostId]]]:
        """Whom each machine knows: its daemon, or its state folder."""
        for host in self.hosts:
            if host.daemon is not None:
                yield host.place, host.daemon.ownership.members
            else:
                yield host.place, frozenset(host.disk.past().members)

    def can_answer(self, asked: Asked) -> bool:
        """The daemon that took the request lives and is not stopped."""
        host = self.by_place[asked.place]
        return host.daemon is not None and not host.stopped

    # -- beginning ----------

    def _host(self, index: int) -> SimHost:
        place = HostId(host_name(index))
        self.world.add_host(place)
        host = SimHost(self, index, place, place)
        host.pace.blind = index in self.plan.blind
        self.network.stations.append(host)
        return host

    def _place_vms(self) -> None:
        for index, vm in enumerate(self.plan.vms):
            uuid, place = uuid_of(index), HostId(host_name(vm.host))
            self.world.describe(MemoryVm(uuid, vm.name))
            for other in vm.defined:
                self.world.define(HostId(host_name(other)), uuid)
            if vm.persistent:
                self.world.define(place, uuid)
            if vm.running:
                try:
                    self.world.start(place, uuid, -100.0)
                except WorldRefusal as refusal:
                    raise ValueError(f"this plan cannot begin: {refusal}") from refusal
        self.world.pop_events()


def tell(plan: Plan) -> list[str]:
    """A run as a story."""
    simulation = Simulation(plan, told=True)
    simulation.run()
    return simulation.story or []


def schedule(plan: Plan) -> list[str]:
    """The happenings of a plan in words."""
    return [f"{each.at:8.3f} {words(plan, each)}" for each in sorted(plan.happenings, key=lambda each: each.at)]
