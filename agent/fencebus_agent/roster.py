"""Decides what a driver remembers about VMs beside what the hypervisor says now: names, addresses, who left, who was
ended here.

Pure bookkeeping; it changes only through the methods named after what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from fencebus_agent.lives import PastLives
from fencebus_schemas.model import Uuid


class Turn(Enum):
    """What an event means for the memory of a VM."""

    STARTED = "started"
    """A life began here."""
    RESTORED = "restored"
    """A saved life goes on here."""
    ARRIVING = "arriving"
    """A process waits here for a life that is still elsewhere."""
    RESUMED = "resumed"
    LEAVING = "leaving"
    """A migration away from here was spoken of."""
    ENDED = "ended"
    """The hypervisor says plainly that the life here is over."""
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class EndedDomain:
    """A transient VM that was ended here: the hypervisor has forgotten it, and this makes it anew."""

    uuid: Uuid
    name: str
    xml: str
    """The definition it had, secrets included: keep it from other users."""
    at: float
    """CLOCK_BOOTTIME seconds of its proven end."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What must survive a restart of the daemon."""

    ended: tuple[EndedDomain, ...] = ()
    left: frozenset[Uuid] = frozenset()
    """VMs that migrated away, or were about to when their process ended here, or have not fully arrived: off here says
    nothing about them (S14).
    """
    lingering: tuple[tuple[Uuid, str], ...] = ()
    """VMs of whose last life something may still write, and the sentence about it."""
    lives: Mapping[Uuid, PastLives] = field(default_factory=lambda: _NO_LIVES)
    """Marks of lives that ended here and that left, where lives are marked."""


_NO_LIVES: Mapping[Uuid, PastLives] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Known:
    """A VM's name, MAC addresses and cluster label, as last read."""

    uuid: Uuid
    name: str
    macs: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """The latest moment at which a life can have begun."""

    run: int | None
    """The hypervisor's number of the life; ``None`` where it gave none."""
    at: float


class Roster:
    """One driver's memory."""

    def __init__(self) -> None:
        self._known: dict[Uuid, Known] = {}
        self._ended: dict[Uuid, EndedDomain] = {}
        self._left: set[Uuid] = set()
        self._arriving: set[Uuid] = set()
        self._spoke: dict[Uuid, float] = {}
        self._began: dict[Uuid, Began] = {}
        self._lingering: dict[Uuid, str] = {}
        self._unheard_until: float | None = None
        """Before that a life may have begun unheard; ``None`` where all that is here was there before us."""
        self.generation = 0

    # ---- what happened

    def turn(self, vm: Uuid, turn: Turn, at: float, run: int | None = None) -> None:
        """An event was heard; ``at`` in CLOCK_BOOTTIME seconds, ``run`` the hypervisor's number of that life."""
        self.generation += 1
        if turn in (Turn.STARTED, Turn.RESTORED, Turn.ARRIVING):
            self._start(vm, Began(run, at), turn is Turn.ARRIVING)
        elif turn is Turn.RESUMED:
            # It runs here: what was arriving has come, what was leaving has not gone.
            self._arriving.discard(vm)
            self._left.discard(vm)
        elif turn is Turn.LEAVING:
            self._left.add(vm)
        if turn in (Turn.ARRIVING, Turn.LEAVING):
            self._spoke[vm] = at

    def booted(self, vm: Uuid, run: int | None, at: float) -> None:
        """A start of our own has come back by ``at``: the life had begun, whenever its event is heard."""
        self._begin(vm, Began(run, at))

    def _begin(self, vm: Uuid, began: Began) -> None:
        known = self._began.get(vm)
        same = known is not None and known.run is not None and known.run == began.run
        if known is None or not same or began.at < known.at:
            self._began[vm] = began

    def _start(self, vm: Uuid, began: Began, arriving: bool) -> None:
        self._begin(vm, began)
        self._lingering.pop(vm, None)
        if arriving:
            # S14: its life is elsewhere until it resumes here.  If the migration fails, the hypervisor says "off" here.
            self._arriving.add(vm)
            self._left.add(vm)
        else:
            self._arriving.discard(vm)
            self._left.discard(vm)

    def learn_all(self, everything: Iterable[Known], at: float = float("inf")) -> None:
        """The inventory was read by ``at``: it takes the place of what was known."""
        self._known = {}
        if self._unheard_until is not None:
            self._unheard_until = min(self._unheard_until, at)
        for known in everything:
            self.learn(known)
        self.generation += 1

    def learn(self, known: Known) -> bool:
        """One VM was read; true if it was known, with another label.

        Its name is its own: an ended VM that had it is not meant by it any more (S8).
        """
        before = self._known.get(known.uuid, known)
        self._known[known.uuid] = known
        for ended in [one for one in self._ended.values() if one.name == known.name and one.uuid != known.uuid]:
            del self._ended[ended.uuid]
        return before.cluster != known.cluster

    def forget(self, vm: Uuid) -> None:
        """The hypervisor does not know it any more."""
        self._known.pop(vm, None)
        self._began.pop(vm, None)
        self._arriving.discard(vm)
        self.generation += 1

    def lives(self, vm: Uuid, at: float) -> None:
        """It was read to be on after ``at``.  An event alone does not say so: a start's can come after the end."""
        ended = self._ended.get(vm)
        if ended is not None and ended.at < at:
            del self._ended[vm]
            self.generation += 1

    def lost(self) -> None:
        """Events may have been missed, the start of another life among them; nor does the number of a life tell one,
        which a hypervisor that was restarted may give again.
        """
        self._began.clear()
        self._unheard_until = float("inf")
        self.generation += 1

    def killed_in_flight(self, vm: Uuid) -> None:
        """Its process was ended here while it may have been migrating: its being off here says nothing."""
        self._left.add(vm)

    def read_to_have_left(self, vm: Uuid) -> None:
        """The hypervisor says that it migrated away, which it forgets when it is started again itself."""
        self._left.add(vm)

    def ended(self, domain: EndedDomain) -> None:
        """A transient VM was ended here."""
        self._ended[domain.uuid] = domain
        self.generation += 1

    def lingers(self, vm: Uuid, why: str) -> None:
        """Something of its last life may still write, and its end was not seen."""
        self._lingering[vm] = why

    def outlasted(self, vm: Uuid) -> None:
        """Its last write was seen to end."""
        self._lingering.pop(vm, None)

    # ---- what is remembered

    def known(self, vm: Uuid) -> Known | None:
        """A VM's name and addresses."""
        return self._known.get(vm)

    def vms(self) -> Sequence[Uuid]:
        """All VMs that the hypervisor was last heard to have."""
        return tuple(self._known)

    def named(self, name: str) -> Uuid | None:
        """The VM that was last known by this name."""
        return next((known.uuid for known in self._known.values() if known.name == name), None)

    def addresses(self) -> Sequence[tuple[str, Uuid]]:
        """(MAC, VM) of all interfaces."""
        return [(mac, known.uuid) for known in self._known.values() for mac in known.macs]

    def is_left(self, vm: Uuid) -> bool:
        """True if it migrated away, or may have."""
        return vm in self._left

    def is_arriving(self, vm: Uuid) -> bool:
        """True if its process here still waits for a migration."""
        return vm in self._arriving

    def spoke_since(self, vm: Uuid, at: float) -> bool:
        """True if an event spoke of a migration of it at that time or later."""
        return self._spoke.get(vm, float("-inf")) >= at

    def missed_since(self, at: float) -> bool:
        """True if events may have been missed at that time or later."""
        return self._unheard_until is not None and self._unheard_until >= at

    def began(self, vm: Uuid) -> float | None:
        """When its start was seen, or when it was found at the latest; ``None`` if it was there before us (S12)."""
        began = self._began.get(vm)
        return began.at if began else self._unheard_until

    def lingering(self, vm: Uuid) -> str:
        """The sentence about what of its last life may still write; empty if nothing is known to."""
        return self._lingering.get(vm, "")

    def ended_domains(self) -> Sequence[EndedDomain]:
        """All transient VMs that were ended here and have not started since."""
        return tuple(self._ended.values())

    def ended_domain(self, vm: Uuid) -> EndedDomain | None:
        """One of them."""
        return self._ended.get(vm)

    @property
    def remembered(self) -> Remembered:
        """What must survive a restart."""
        return Remembered(tuple(self._ended.values()), frozenset(self._left), tuple(self._lingering.items()))

    def remember(self, past: Remembered) -> None:
        """Take up what an earlier run of the daemon remembered, before the first connection.

        That run may have been before a boot of this host, on another clock: whatever is read now is later.
        """
        self._ended.update({domain.uuid: replace(domain, at=0.0) for domain in past.ended})
        self._left.update(past.left)
        self._lingering.update(past.lingering)
