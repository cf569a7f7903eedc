"""Decides what a host's driver sees and does of its VMs, in its own time: looks, kills and starts on the world's truth.

It keeps what ``effects.Look`` demands (an answer comes after all events of before the look), reads proofs with the
product's own ``death.judge``, and asks the permit in the same instant in which it acts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fencebus_agent import death
from fencebus_agent.death import End, Finding, Power, Witness
from fencebus_agent.memory_machines import Glance, WorldEvent
from fencebus_agent.memory_world import World, WorldRefusal
from fencebus_host.effects import Boot, Kill, Look
from fencebus_host.federation.member import Refusal
from fencebus_schemas.model import HostId, Incarnation, Life, Observation, Proof, Reason, Sight, Uuid, VmRecord, VmState
from tests.sim.disk import LifeStory
from tests.sim.scheduler import Scheduler
from tests.sim.stories import Telling, left_marks

TICK = 0.01
"""The grain of the kernel's start times: a birth is rounded up to it."""
CATCH_UP = 0.2
"""Seconds until libvirt has noticed the end of a process."""
AGAIN = 0.05
"""Seconds between two attempts to reach a libvirt that is lost."""

Permit = Callable[[Life | None], Reason | None]


@dataclass(slots=True)
class Pace:
    """How slow a host's hypervisor is now; faults change it for a while."""

    event: float = 0.02
    look: float = 0.01
    start: float = 0.5
    exit: float = 0.005
    blind: bool = False
    """The births of processes older than the daemon are not known."""


class Ground(Protocol):
    """What a driver stands on: one daemon on one machine."""

    scheduler: Scheduler

    @property
    def pace(self) -> Pace:
        """How slow this host's hypervisor is now."""

    @property
    def deaf(self) -> bool:
        """libvirt is lost: no event comes, and every question waits."""

    def now(self) -> float:
        """This machine's clock."""

    def clock_of(self, when: float) -> float:
        """What this machine's clock showed, or would have shown, at a time of the world."""

    def run(self, act: Callable[[], None]) -> None:
        """Do ``act`` in the daemon: not if it is dead, later if it is stopped."""

    def chance(self) -> float:
        """The next random number of this machine, in [0, 1)."""

    def touched(self) -> None:
        """The world was changed: its events are to be fetched."""


class Driver:
    """The driver of one daemon."""

    def __init__(
        self,
        ground: Ground,
        world: World,
        place: HostId,
        name: HostId,
        incarnation: Incarnation,
        stories: dict[Uuid, LifeStory],
        names: dict[Uuid, str],
    ) -> None:
        self._ground, self._world, self._place = ground, world, place
        self._name, self._incarnation, self._stories, self._names = name, incarnation, stories, names
        self._started_at = ground.now()
        self._tellings: dict[Uuid, Telling] = {}
        self._events_at = 0.0
        self._births: dict[str, float] = {}
        """The latest moment at which each life that was seen here can have begun."""
        self._spoken: dict[Uuid, float] = {}
        """When libvirt last spoke of a migration of each VM."""
        self._looked_at: set[Uuid] = set()
        """Since events were last missed."""
        self._connection = 0
        self._missed_until = -math.inf

    # -- seeing ----------

    def announce(self, event: WorldEvent, then: Callable[[WorldEvent], None]) -> None:
        """libvirt says something: it reaches the daemon later, in order."""
        scheduler, pace = self._ground.scheduler, self._ground.pace
        seen = self._world.look(self._place, event.vm)
        # libvirt's event names the domain's number: it is known of which life it speaks, however late it comes.
        life = self._life(seen) if seen.process is not None else None
        mark = life.mark if life is not None else ""
        self._events_at = max(self._events_at, scheduler.now + 0.001 + pace.event * self._ground.chance())
        hear = partial(self._hear, self._connection, event, mark, then)
        scheduler.at(self._events_at, partial(self._ground.run, hear))

    def look(self, effect: Look, then: Callable[[Sight], None]) -> None:
        """Answer ``effect`` in this driver's time."""
        self._looked_at.add(effect.vm)
        self.glance(effect.vm, lambda seen: then(self._sight(effect.vm, seen)))

    def glance(self, vm: Uuid, then: Callable[[Glance], None]) -> None:
        """One look at a VM: it takes place later, and is told later still."""
        ground = self._ground

        def done(connection: int, seen: Glance) -> None:
            if connection != self._connection:
                see()
                return
            self._telling(vm).looked(seen)
            then(seen)

        def see() -> None:
            if self._waits(see):
                return
            seen = self._world.look(self._place, vm)
            told_at = max(ground.scheduler.now + 0.001 + ground.pace.look * ground.chance(), self._events_at)
            ground.scheduler.at(told_at, partial(ground.run, partial(done, self._connection, seen)))

        ground.scheduler.after(0.0005 + ground.pace.look * ground.chance(), partial(ground.run, see))

    def record(self, vm: Uuid, seen: Glance) -> VmRecord:
        """What the inventory says of it."""
        state = VmState.OFF if seen.power is Power.LEFT else seen.state
        life = seen.life.mark if seen.life is not None and state.is_claim else ""
        return VmRecord(vm, self._names.get(vm, vm), state, self._name, self._incarnation, life=life)

    def inventory(self) -> list[tuple[Uuid, Glance]]:
        """Everything that libvirt lists, at this instant."""
        found = [(vm, self._world.look(self._place, vm)) for vm in self._world.vms(self._place)]
        for vm, seen in found:
            self._life(seen)
            self._telling(vm).looked(seen)
        return found

    def deafened(self) -> list[Uuid]:
        """libvirt is lost, and what it was about to say.  Returns the VMs that were looked at since it was last."""
        self._connection += 1
        self._missed_until = math.inf
        for telling in self._tellings.values():
            telling.lost()
        looked_at, self._looked_at = sorted(self._looked_at), set()
        return looked_at

    def hears_again(self) -> None:
        """It is found again, and all read anew."""
        self._missed_until = self._ground.now()
        self.inventory()

    def _waits(self, act: Callable[[], None]) -> bool:
        """``act`` is tried again later, if libvirt is lost now."""
        if self._ground.deaf:
            self._ground.scheduler.after(AGAIN, partial(self._ground.run, act))
        return self._ground.deaf

    def _missed_since(self, at: float) -> bool:
        return self._missed_until >= at

    def _hear(self, connection: int, event: WorldEvent, mark: str, then: Callable[[WorldEvent], None]) -> None:
        if connection != self._connection:
            return
        self._telling(event.vm).heard(event, mark)
        if "migrat" in event.detail or "postcopy" in event.detail or event.detail == "migration":
            self._spoken[event.vm] = self._ground.now()
        then(event)

    def _telling(self, vm: Uuid) -> Telling:
        if vm not in self._tellings:
            self._tellings[vm] = Telling(self._stories.setdefault(vm, LifeStory()))
        return self._tellings[vm]

    def _sight(self, vm: Uuid, seen: Glance) -> Sight:
        story = self._stories[vm]
        at_rest = seen.power in (Power.OFF, Power.GONE, Power.LEFT)
        known = seen.power is not Power.GONE or bool(story.here or story.ended or story.left)
        return Sight(
            vm,
            VmState.OFF if at_rest else seen.state,
            known,
            seen.in_flight and not at_rest,
            self._life(seen),
            tuple(story.ended),
            left_marks(seen, story),
        )

    def _life(self, seen: Glance) -> Life | None:
        """The life that is here, with its birth on this host's clock, as far as it is known."""
        if seen.life is None or seen.process is None:
            # A saved life began when its process did, if that was seen; else the image is older than the daemon.
            return seen.life and Life(seen.life.mark, self._births.get(seen.life.mark))
        since = seen.life.began_at or 0.0
        began = math.ceil(self._ground.clock_of(since) / TICK) * TICK
        began = self._births.setdefault(seen.life.mark, began)
        unseen = self._ground.pace.blind and began <= self._started_at
        return Life(seen.life.mark, None if unseen else began)

    # -- ending a life ----------

    def kill(self, effect: Kill, permit: Permit, then: Callable[[Observation | Refusal], None]) -> None:
        """Look, ask the permit, kill, wait for the proof (design 6)."""
        ground = self._ground
        delay = 0.0005 + ground.pace.look * ground.chance()
        ground.scheduler.after(delay, partial(ground.run, partial(self._aim, effect, permit, then)))

    def _aim(self, effect: Kill, permit: Permit, then: Callable[[Observation | Refusal], None]) -> None:
        if self._waits(partial(self._aim, effect, permit, then)):
            return
        seen = self._world.look(self._place, effect.vm)
        story = self._stories.setdefault(effect.vm, LifeStory())
        look = death.Look(
            self._ground.now(),
            seen.power,
            seen.job,
            self._life(seen),
            saved_image=seen.process is not None and seen.image is not None,
            left_before=bool(story.left) and not seen.process,
        )
        gap = 0.0002 + self._ground.pace.look * self._ground.chance() * 0.5
        self._ground.scheduler.after(
            gap, partial(self._ground.run, partial(self._strike, effect, permit, then, seen, look))
        )

    def _strike(
        self,
        effect: Kill,
        permit: Permit,
        then: Callable[[Observation | Refusal], None],
        seen: Glance,
        look: death.Look,
    ) -> None:
        """The permit and the act are one instant."""
        if self._waits(partial(self._aim, effect, permit, then)):
            return
        if look.life is None:
            then(self._observed(effect.vm, look, death.judge_rest(look, 0)))
            return
        refusal = permit(look.life)
        if refusal is not None:
            then(Refusal(refusal))
            return
        if seen.process is None:
            self._set_aside(effect.vm, seen, look, then)
            return
        leaves = self._ground.pace.exit * (1 + self._ground.chance())
        self._ground.scheduler.after(leaves, partial(self._exit, effect, seen, look, then))

    def _set_aside(
        self, vm: Uuid, seen: Glance, look: death.Look, then: Callable[[Observation | Refusal], None]
    ) -> None:
        """A saved image goes; if it is gone already, or runs again, nothing was proven."""
        now = self._world.look(self._place, vm)
        if now.image is None or now.image != seen.image or now.process is not None:
            then(self._observed(vm, look, Finding(death.Decision.LOOK_AGAIN, why="its saved image was used meanwhile")))
            return
        self._world.drop_image(self._place, vm)
        self._telling(vm).killed(now.image)
        then(self._observed(vm, look, death.judge_rest(look, 0)))

    def _exit(
        self, effect: Kill, seen: Glance, look: death.Look, then: Callable[[Observation | Refusal], None]
    ) -> None:
        """The process goes, whatever has become of the daemon meanwhile."""
        if not self._world.is_up(self._place):
            return
        ended = self._world.kill(self._place, effect.vm, process=seen.process)
        self._ground.touched()
        exited_at = self._ground.now()
        answer = death.Kill.DONE if ended is not None else death.Kill.NOT_RUNNING
        finding = death.judge(look, exited_at, None)
        if finding.decision is death.Decision.OFF and ended is not None:
            self._ground.run(lambda: self._dead(effect.vm, look, finding, then))
            return
        wait = partial(self._caught_up, effect, look, exited_at, answer, then)
        self._ground.scheduler.after(CATCH_UP, partial(self._ground.run, wait))

    def _caught_up(
        self,
        effect: Kill,
        look: death.Look,
        exited_at: float,
        answer: death.Kill,
        then: Callable[[Observation | Refusal], None],
    ) -> None:
        if self._waits(partial(self._caught_up, effect, look, exited_at, answer, then)):
            return
        seen = self._world.look(self._place, effect.vm)
        if seen.image is not None and seen.process is None:
            # One that was in the making, or older than the life that was killed (as ``killing`` does).
            self._telling(effect.vm).killed(self._world.drop_image(self._place, effect.vm))
            seen = self._world.look(self._place, effect.vm)
        spoken = self._spoken.get(effect.vm, -math.inf) >= look.at or self._missed_since(look.at)
        end = End(answer, seen.power, seen.image is not None, spoken)
        self._dead(effect.vm, look, death.judge(look, exited_at, end), then)

    def _dead(
        self, vm: Uuid, look: death.Look, finding: Finding, then: Callable[[Observation | Refusal], None]
    ) -> None:
        if finding.decision is death.Decision.OFF and look.life is not None:
            self._telling(vm).killed(look.life.mark)
        then(self._observed(vm, look, finding))

    def _observed(self, vm: Uuid, look: death.Look, finding: Finding) -> Observation:
        return death.observe(Witness(self._name, self._incarnation), vm, look, finding, self._ground.now())

    # -- beginning one ----------

    def boot(self, effect: Boot, permit: Permit, then: Callable[[Observation | Refusal], None]) -> None:
        """Start afresh; one that runs already is fine, and nothing is done."""
        ground = self._ground
        delay = 0.0005 + ground.pace.look * ground.chance()
        ground.scheduler.after(delay, partial(ground.run, partial(self._start, effect.vm, permit, then)))

    def _start(self, vm: Uuid, permit: Permit, then: Callable[[Observation | Refusal], None]) -> None:
        if self._waits(partial(self._start, vm, permit, then)):
            return
        seen = self._world.look(self._place, vm)
        if seen.process is not None:
            then(self._running(vm, seen) if seen.power.plain else Refusal(Reason.HYPERVISOR_ERROR, "it migrates"))
            return
        if seen.power is Power.GONE and not self._stories.get(vm, LifeStory()).ended:
            then(Refusal(Reason.HYPERVISOR_ERROR, "no such VM here"))
            return
        refusal = permit(None)
        if refusal is not None:
            then(Refusal(refusal))
            return
        try:
            self._world.start(self._place, vm, self._ground.scheduler.now)
        except WorldRefusal as refused:
            then(Refusal(Reason.HYPERVISOR_ERROR, str(refused)))
            return
        self._ground.touched()
        started = self._running(vm, seen)
        takes = self._ground.pace.start * self._ground.chance()
        self._ground.scheduler.after(takes, partial(self._ground.run, partial(then, started)))

    def _running(self, vm: Uuid, seen: Glance) -> Observation:
        now = self._ground.now()
        was = VmState.OFF if seen.process is None else seen.state
        return Observation(vm, VmState.RUNNING, self._name, self._incarnation, Proof.NONE, now, was=was)
