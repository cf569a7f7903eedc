"""Decides what a driver on one host of a world in memory knows, remembers and may say of a VM.

Pure and synchronous, on what libvirt of that host says and nothing else: what the driver for libvirt does with pidfds
and events, put as plainly as a world in memory allows.  The hypervisor in memory and the simulation stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fencebus_agent.death import Power, Witness
from fencebus_agent.memory_machines import Glance, WorldEvent
from fencebus_agent.memory_world import World
from fencebus_schemas.model import LEFT_UNMARKED, HostId, Life, Observation, Proof, Sight, Uuid, VmState

KEPT = 16
"""Marks of ended and of left lives that are remembered of each VM."""

_LEAVING = {
    ("suspended", "migrated"),
    ("suspended", "postcopy"),
    ("suspended", "postcopy-failed"),
    ("stopped", "migrated"),
    ("job-completed", "migration"),
}
_ARRIVING = ("started", "migrated")
_NOTHING: Mapping[Uuid, tuple[str, ...]] = MappingProxyType({})


def speaks_of_migration(event: WorldEvent) -> bool:
    """True if libvirt says that a life leaves, or that a process waits for one; false of its arrival ("resumed")."""
    return (event.kind, event.detail) in _LEAVING or (event.kind, event.detail) == _ARRIVING


@dataclass(frozen=True, slots=True)
class Remembered:
    """What survives a restart of the daemon, if its state folder does."""

    ended: Mapping[Uuid, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    """Marks of lives whose end was seen here and proved, the latest last."""
    left: Mapping[Uuid, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    """Marks of lives that were seen to leave, and not to come back."""
    doubtful: frozenset[Uuid] = frozenset()
    """VMs of which "off" here says nothing: seen to leave or to arrive, or ended here in flight, and not seen to run
    since.
    """
    forgotten: frozenset[Uuid] = frozenset()
    """Transient VMs that were ended here: libvirt knows them no more."""


class MemoryHost:
    """One host's driver, from its start on: it listens, remembers and judges.  ``close`` it when its daemon ends."""

    def __init__(self, world: World, witness: Witness, past: Remembered | None = None) -> None:
        self._world, self._witness = world, witness
        past = past or Remembered()
        self._ended, self._left = dict(past.ended), dict(past.left)
        self._doubtful, self._forgotten = set(past.doubtful), set(past.forgotten)
        self._last: dict[Uuid, Glance] = {}
        self._stood: dict[Uuid, Glance] = {}  # when a life was last seen here
        self._born: set[int] = set()
        self._moving: set[int] = set()  # processes that were seen to leave or to wait, and not to run since
        self._listens = False
        for vm in world.vms(self.host):
            self._learn(vm)
        self._listens = True
        world.listen(self.host, self._hear)

    @property
    def host(self) -> HostId:
        """Whose driver it is."""
        return self._witness.host

    @property
    def remembered(self) -> Remembered:
        """What to keep on this host's disk."""
        return Remembered(dict(self._ended), dict(self._left), frozenset(self._doubtful), frozenset(self._forgotten))

    def close(self) -> None:
        """It hears no more."""
        self._world.stop_listening(self.host, self._hear)

    # ---- what is seen

    def vms(self) -> Sequence[Uuid]:
        """All VMs that libvirt lists, and those that were ended here and that it has forgotten."""
        listed = self._world.vms(self.host)
        return (*listed, *(vm for vm in sorted(self._forgotten) if vm not in listed))

    def glance(self, vm: Uuid) -> Glance:
        """What is there now; a life's beginning is known if its start was heard."""
        seen = self._world.look(self.host, vm)
        if seen.life is not None and seen.process not in self._born:
            return replace(seen, life=Life(seen.life.mark))
        return seen

    def knows(self, vm: Uuid) -> bool:
        """True if it is here, or was ended here, or its life went from here."""
        return self.lists(vm) or vm in self._doubtful

    def lists(self, vm: Uuid) -> bool:
        """True if it is here, or was ended here."""
        return vm in self._forgotten or self._world.look(self.host, vm).power is not Power.GONE

    def was(self, vm: Uuid, seen: Glance) -> VmState:
        """The state that a look found: what libvirt has forgotten and this host has ended was off (S5: it stays so)."""
        return VmState.OFF if seen.power is Power.GONE and vm in self._forgotten else seen.state

    def state(self, vm: Uuid) -> VmState:
        """The word for a host that is alone: UNKNOWN, never OFF, of a VM whose life was seen to leave."""
        seen = self._world.look(self.host, vm)
        if seen.power is Power.GONE and vm in self._forgotten:
            return VmState.OFF
        return VmState.UNKNOWN if seen.power is Power.OFF and vm in self._doubtful else seen.state

    def mark(self, vm: Uuid) -> str:
        """Of the life that is here; empty if there is none."""
        life = self._world.look(self.host, vm).life
        return life.mark if life is not None else ""

    def sight(self, vm: Uuid) -> Sight:
        """The word for other hosts: that no life is here, although one left, and which."""
        seen = self.glance(vm)
        known = self.knows(vm) or vm in self._left or vm in self._ended
        here = seen.state.is_claim
        return Sight(
            vm,
            seen.state if here else VmState.OFF,
            known,
            here and seen.in_flight,
            seen.life,
            self._ended.get(vm, ()),
            self._left.get(vm, ()),
            f"{seen.power.value}, with {seen.job.value} under way" if here and seen.in_flight else "",
        )

    # ---- what is done

    def at_rest(self, vm: Uuid, seen: Glance, now: float) -> Observation:
        """The observation of a VM of which a look found nothing that could be ended."""
        if vm in self._doubtful or seen.power is Power.LEFT:
            return self._in_flight(vm, seen, now, "it migrated away from here, or was about to")
        return self._off(vm, seen, now, None)

    def strike(self, vm: Uuid, seen: Glance, now: float, in_flight: bool = False) -> Observation:
        """End what the look ``seen`` found, if it is still there, and say what has come of it.

        in_flight: a witness beside libvirt says that it was migrating.
        """
        if seen.power is Power.SAVED:
            return self._discard(vm, seen, now)
        if in_flight or seen.in_flight:
            self._doubt(vm, seen)
        killed = self._world.kill(self.host, vm, process=seen.process)
        if killed is not None and killed.in_flight:
            self._doubt(vm, seen)
        if seen.process in self._moving:
            # S14: whatever ended here, the life may be elsewhere.
            return self._in_flight(vm, seen, now, "it was migrating")
        return self._struck(vm, seen, now, killed is not None)

    def _struck(self, vm: Uuid, seen: Glance, now: float, killed: bool) -> Observation:
        """What has come of a plain process; ``killed`` if the kill still found it."""
        after = self._world.look(self.host, vm)
        if after.power is Power.SAVED:
            return self.living(vm, seen, now, "it was saved before the kill reached it")
        if after.process is not None:
            return self.living(vm, seen, now, "another life runs")
        if not killed:
            return self._gone_by_itself(vm, seen, now, after)
        if after.power is Power.GONE and not seen.persistent:
            self._forgotten.add(vm)
        if seen.life is not None:
            self._end(vm, seen.life.mark)
        return self._off(vm, seen, now, seen.life)

    def _gone_by_itself(self, vm: Uuid, seen: Glance, now: float, after: Glance) -> Observation:
        if after.power is Power.GONE or vm in self._doubtful:
            return self._in_flight(vm, seen, now, "it vanished while it was being killed")
        return self._off(vm, seen, now, None)

    def living(self, vm: Uuid, seen: Glance, now: float, detail: str) -> Observation:
        """The observation of a VM whose end is not proven."""
        state = self._world.look(self.host, vm).state
        return self._observation(vm, seen, now, state, Proof.NONE, seen.in_flight, detail=detail)

    def may_start(self, vm: Uuid) -> bool:
        """S15: false of a VM whose life was seen to leave, and not to come back."""
        return vm not in self._doubtful and self._world.look(self.host, vm).power is not Power.LEFT

    def _discard(self, vm: Uuid, seen: Glance, now: float) -> Observation:
        gone = self._world.look(self.host, vm).image != seen.image
        if gone or seen.image is None:
            return self.living(vm, seen, now, "its saved image was used meanwhile")
        self._end(vm, self._world.drop_image(self.host, vm))
        return self._off(vm, seen, now, seen.life)

    # ---- events

    def _hear(self, event: WorldEvent) -> None:
        before = self._last.get(event.vm)
        if event.kind == "stopped":
            self._hear_of_an_end(event, before)
        elif event.kind == "started":
            self._forgotten.discard(event.vm)
        self._learn(event.vm)
        now = self._last[event.vm]
        if speaks_of_migration(event):
            # One that has ended meanwhile was as it was heard of before.
            self._doubt(event.vm, now if now.process is not None or before is None else before)
        if (event.kind, event.detail) in _LEAVING:
            self._leave(event.vm, self._stood.get(event.vm) if now.life is None else now)
        if event.kind == "resumed" and not now.in_flight:
            self._come(event.vm, now)

    def _hear_of_an_end(self, event: WorldEvent, before: Glance | None) -> None:
        """What ran, and had not been spoken of as migrating, has ended here for good.

        A paused VM migrates without a word until it has gone: its end says nothing, unless it was a kill of ours.
        """
        if before is None or before.life is None or before.process is None or event.detail == "saved":
            return
        if before.process not in self._moving and before.power is not Power.PAUSED:
            self._end(event.vm, before.life.mark)

    def _learn(self, vm: Uuid) -> None:
        """Look again, as every event is only a hint; and what was not heard is seen."""
        seen, before = self._world.look(self.host, vm), self._last.get(vm)
        self._last[vm] = seen
        if seen.life is not None:
            self._stood[vm] = seen
        if self._listens and seen.process is not None and (before is None or before.process != seen.process):
            self._born.add(seen.process)
        if seen.power.migrates:
            self._doubt(vm, seen)
        if seen.power in (Power.OUTGOING, Power.LEFT):
            self._leave(vm, seen)

    def _doubt(self, vm: Uuid, seen: Glance) -> None:
        """S14: what ends here now is no proof."""
        self._doubtful.add(vm)
        if seen.process is not None:
            self._moving.add(seen.process)

    def _leave(self, vm: Uuid, seen: Glance | None) -> None:
        known = self._left.get(vm, ())
        if seen is not None and seen.life is not None:
            self._left[vm] = _with(known, seen.life.mark)
            # "Destroyed" was the first word about a source that had handed over (facts: libvirt 2.2).
            self._ended[vm] = tuple(mark for mark in self._ended.get(vm, ()) if mark != seen.life.mark)
        elif not known:
            self._left[vm] = (LEFT_UNMARKED,)

    def _come(self, vm: Uuid, seen: Glance) -> None:
        """It runs here: what was arriving has come, what was leaving has not gone, and another has begun.

        A life that left, and is not the one that runs now, still has not been seen to end.
        """
        self._doubtful.discard(vm)
        self._moving.discard(seen.process or 0)
        here = seen.life.mark if seen.life else ""
        self._left[vm] = tuple(mark for mark in self._left.get(vm, ()) if mark not in (here, LEFT_UNMARKED))

    def _end(self, vm: Uuid, mark: str) -> None:
        self._ended[vm] = _with(self._ended.get(vm, ()), mark)

    # ---- words

    def _off(self, vm: Uuid, seen: Glance, now: float, ended: Life | None) -> Observation:
        return self._observation(vm, seen, now, VmState.OFF, Proof.PROCESS_EXIT, ended=ended)

    def _in_flight(self, vm: Uuid, seen: Glance, now: float, detail: str) -> Observation:
        return self._observation(vm, seen, now, VmState.UNKNOWN, Proof.NONE, True, detail=detail)

    def _observation(
        self,
        vm: Uuid,
        seen: Glance,
        now: float,
        state: VmState,
        proof: Proof,
        in_flight: bool = False,
        ended: Life | None = None,
        detail: str = "",
    ) -> Observation:
        was = self.was(vm, seen)
        host, incarnation = self._witness.host, self._witness.incarnation
        return Observation(vm, state, host, incarnation, proof, now, in_flight, was, ended, detail)


def _with(marks: tuple[str, ...], mark: str) -> tuple[str, ...]:
    return (*(known for known in marks if known != mark), mark)[-KEPT:]
