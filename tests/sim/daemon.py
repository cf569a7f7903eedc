"""Decides nothing itself: one incarnation of a daemon, which carries out what the real machine asks for, in the
simulation's time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fencebus_agent.hypervisor import MISSED, DomainEvent
from fencebus_agent.memory_host import speaks_of_migration
from fencebus_agent.memory_machines import Glance, WorldEvent
from fencebus_host.effects import AskProof, Boot, Conclude, Effects, Job, Keep, Kill, Look, Send
from fencebus_host.evidence import is_plain_end
from fencebus_host.federation.machine import Federation
from fencebus_host.federation.member import Refusal
from fencebus_host.ownership import Ownership
from fencebus_host.routers.federated.echoes import Echoes, Meaning
from fencebus_schemas.model import Incarnation, Life, Observation, Reason, Sight, Uuid
from fencebus_schemas.peer import GuardAnswer, Message
from tests.sim.counting import Counting
from tests.sim.desk import Desk
from tests.sim.driver import Driver, Pace
from tests.sim.scheduler import Scheduler
from tests.sim.witnesses import Witnesses

if TYPE_CHECKING:
    from tests.sim.host import SimHost
    from tests.sim.simulation import Simulation

BUSY_TICK = 0.1
IDLE_TICK = 1.0
STOCK = 30.0
"""Seconds between two readings of the whole inventory (as in ``driving``)."""


class Daemon:
    """A running fence_virtd, as far as the pure machines go."""

    def __init__(self, sim: Simulation, host: SimHost, incarnation: Incarnation) -> None:
        self.sim, self.host, self.incarnation = sim, host, incarnation
        self.scheduler: Scheduler = host.scheduler
        past = host.disk.past()
        self.ownership = Ownership(host.name, incarnation, sim.configured, past)
        self.federation = Federation(
            host.name, incarnation, self.ownership, lambda _order: True, self._draw, host.now()
        )
        self.federation.remember(host.disk.deeds)
        self.driver = Driver(self, sim.world, host.place, host.name, incarnation, host.disk.stories, sim.names)
        self.desk = Desk(self)
        self.witnesses = Witnesses(self)
        self.counting = Counting(self)
        self._drawn = 0
        self._reading: set[Uuid] = set()
        self._echoes = Echoes()
        self._acting: set[Uuid] = set()
        self._unread: set[Uuid] = set()
        self._ticks = 0

    # -- what the driver stands on ----------

    @property
    def pace(self) -> Pace:
        """How slow this host's hypervisor is now."""
        return self.host.pace

    @property
    def deaf(self) -> bool:
        """libvirt is lost."""
        return self.host.deaf

    def now(self) -> float:
        """This host's clock."""
        return self.host.now()

    def clock_of(self, when: float) -> float:
        """This host's clock at a time of the world."""
        return self.host.clock_of(when)

    def run(self, act: Callable[[], None]) -> None:
        """Do it in this incarnation."""
        self.host.run_in(self, act)

    def chance(self) -> float:
        """A random number."""
        return self.host.chance()

    def touched(self) -> None:
        """The world has changed."""
        self.sim.spread_events()

    # -- life ----------

    def begin(self) -> None:
        """Read everything that is here, say who is here, and go on."""
        self.counting.begin()
        self._take_stock()
        self.witnesses.begin()
        self._tick(self._ticks)

    def _tick(self, number: int) -> None:
        if number != self._ticks:
            return
        self._ticks += 1
        self.carry(self.federation.tick(self.now()))
        self.scheduler.after(self._pause(), partial(self.run, partial(self._tick, self._ticks)))

    def _pause(self) -> float:
        return (BUSY_TICK if self.federation.is_busy else IDLE_TICK) * (0.9 + 0.2 * self.chance())

    def hurry(self) -> None:
        """A course has begun: tick often from now on."""
        self._ticks += 1
        self.scheduler.after(BUSY_TICK, partial(self.run, partial(self._tick, self._ticks)))

    def receive(self, message: Message) -> None:
        """A message came through the door."""
        if isinstance(message, GuardAnswer) and message.sight is not None:
            self.sim.oracle.word_came(message)
        self.carry(self.federation.received(message, self.now()))

    def hear(self, event: WorldEvent) -> None:
        """libvirt speaks."""
        self.driver.announce(event, self._told)

    def deafened(self) -> None:
        """The connection to libvirt is lost: as the driver for it does, tell of each VM that was looked at."""
        for vm in self.driver.deafened():
            self._missed(vm)

    def _missed(self, vm: Uuid) -> None:
        self._event(DomainEvent(vm, MISSED))

    def hears_again(self) -> None:
        """There is a new one; all that is here is told once the inventory's turn comes."""
        self.driver.hears_again()
        self.scheduler.after(STOCK * self.chance(), partial(self.run, self._take_stock))

    def _take_stock(self) -> None:
        if self.deaf or self._acting:
            self.scheduler.after(1.0, partial(self.run, self._take_stock))
            return
        found = self.driver.inventory()
        self.carry(self.federation.inventory([self.driver.record(vm, seen) for vm, seen in found], self.now()))

    def _told(self, event: WorldEvent) -> None:
        self._event(DomainEvent(event.vm, event.kind, "migration" if speaks_of_migration(event) else ""))

    def _event(self, event: DomainEvent) -> None:
        """As ``driving`` takes it: what is an echo of a kill is decided by the same pure part."""
        meaning = self._echoes.heard(event, self.now())
        if meaning is Meaning.UNKNOWN:
            return
        if meaning is Meaning.NEWS:
            self.carry(self.federation.changed(event.vm, self.now()))
        if event.vm in self._acting:
            self._unread.add(event.vm)
        else:
            self._read_again(event.vm)

    def _read_again(self, vm: Uuid) -> None:
        if vm not in self._reading:
            self._reading.add(vm)
            self.driver.glance(vm, partial(self._read, vm))

    def _read(self, vm: Uuid, seen: Glance) -> None:
        self._reading.discard(vm)
        gone = seen.process is None and seen.image is None and not seen.persistent
        self.carry(self.federation.vm_changed(self.driver.record(vm, seen), gone, self.now()))

    def _draw(self) -> str:
        self._drawn += 1
        return f"{self.host.place}.{self.incarnation.boot_id}.{self.incarnation.nonce}.{self._drawn}"

    # -- effects ----------

    def carry(self, effects: Effects) -> None:
        """Carry out what the machine asks for, one by one, in order."""
        for effect in effects:
            if isinstance(effect, Send):
                self.sim.send(self.host, effect.message)
            elif isinstance(effect, Look):
                self.driver.look(effect, partial(self._looked, effect.job))
            elif isinstance(effect, Keep):
                self._keep(effect)
            elif isinstance(effect, Conclude):
                self.desk.concluded(effect)
            elif isinstance(effect, AskProof):
                self.witnesses.ask(effect)
            else:
                self._act(effect)

    def _looked(self, job: Job, sight: Sight) -> None:
        self.carry(self.federation.looked(job, sight, self.now()))

    def _act(self, effect: Kill | Boot) -> None:
        then = partial(self._acted, effect)
        permit = partial(self._permit, effect)
        self._acting.add(effect.vm)
        if isinstance(effect, Kill):
            self._echoes.begin(effect.vm)
            self.driver.kill(effect, permit, then)
        else:
            self.driver.boot(effect, permit, then)

    def _permit(self, effect: Kill | Boot, life: Life | None) -> Reason | None:
        refusal = self.federation.permit(effect.job, life, self.now())
        if refusal is None:
            # The oracle learns for whom it is; no machine does.
            task = self.federation._member._acts[effect.job]
            self.sim.oracle.acts(self.host, effect, task.order.request, life)
        return refusal

    def _acted(self, effect: Kill | Boot, result: Observation | Refusal) -> None:
        self._acting.discard(effect.vm)
        heard = self._echoes.over(effect.vm)
        if isinstance(effect, Kill) and isinstance(result, Observation):
            self._echoes.killed(result, self.now())
        self.carry(self.federation.acted(effect.job, result, self.now()))
        for event in heard:
            self._event(event)
        if effect.vm in self._unread or not (isinstance(result, Observation) and is_plain_end(result)):
            self._unread.discard(effect.vm)
            self._read_again(effect.vm)

    def _keep(self, effect: Keep) -> None:
        disk = self.host.disk
        disk.pending.append(effect.record)
        takes = self.host.write_takes * (0.3 + self.chance())
        self.host.write_done_at = max(self.host.write_done_at, self.scheduler.now + takes)
        self.scheduler.at(self.host.write_done_at, partial(self.run, partial(self._kept, effect.job)))

    def _kept(self, job: Job) -> None:
        self.carry(self.federation.kept(job, self.host.disk.complete(), self.now()))
