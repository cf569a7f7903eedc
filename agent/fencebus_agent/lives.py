"""Decides by which marks a host tells the lives of its VMs apart, and remembers which ended here and which left.

Pure bookkeeping.  A mark is a random id in the domain's live metadata: it goes with the life through migrations and
saves.  What libvirt cannot know is whether the metadata of a fresh boot is its own, or was copied with a definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fencebus_schemas.model import LEFT_UNMARKED, Uuid

NO_RUN = -1
"""The hypervisor's number of a life that no process runs."""

KEPT = 16
"""Marks of ended and of left lives that are remembered of each VM."""


@dataclass(frozen=True, slots=True)
class PastLives:
    """What is remembered of one VM's lives, the latest last."""

    ended: tuple[str, ...] = ()
    """Marks of lives whose end was proved here, or reported plainly by the hypervisor."""
    left: tuple[str, ...] = ()
    """Marks of lives that were seen to leave, and not to come back; ``LEFT_UNMARKED`` where nobody knows which."""


NO_LIVES = PastLives()


@dataclass(frozen=True, slots=True)
class _Marked:
    """A life by its mark, and the hypervisor's number of the run of it that is here."""

    run: int
    mark: str


class Lives:
    """One driver's memory of lives; ``draw`` gives a mark that no other host ever draws.

    ``recognised`` may be asked in any thread, all else belongs to the event loop's.
    """

    def __init__(self, draw: Callable[[], str]) -> None:
        self._draw = draw
        self._fresh: dict[Uuid, _Marked] = {}  # seen to begin here, and the mark that each is to have
        self._continuing: dict[Uuid, int] = {}
        self._here: dict[Uuid, _Marked] = {}
        self._past: dict[Uuid, PastLives] = {}

    # ---- what happened

    def begins(self, vm: Uuid, run: int) -> str:
        """A life begins here, with this number of the hypervisor's.  Returns the mark to be set, the same each time."""
        fresh = self._fresh.get(vm)
        if fresh is None or fresh.run != run:
            fresh = self._fresh[vm] = _Marked(run, self._draw())
            self._here.pop(vm, None)
        return fresh.mark

    def continues(self, vm: Uuid, run: int) -> None:
        """A process here takes up a life that began before: which one, its metadata will say."""
        self._continuing[vm] = run
        self._fresh.pop(vm, None)
        self._here.pop(vm, None)

    def read(self, vm: Uuid, run: int, mark: str) -> str:
        """Metadata was read that holds ``mark``, of a life whose beginning was heard or of which nobody can have heard.
        Returns the mark of the life that is here; empty if none is known.
        """
        known = self._own(vm, run, mark)
        if known:
            self._here[vm] = _Marked(run, known)
        return known

    def leaves(self, vm: Uuid) -> None:
        """The life that is here, or was here last, was spoken of as leaving."""
        past, mark = self.past(vm), self.here(vm) or LEFT_UNMARKED
        if mark == LEFT_UNMARKED and past.left:
            return
        # "Destroyed" was the first word about a source that had handed over (facts: libvirt 2.2).
        self._keep(vm, PastLives(_without(past.ended, mark), _with(past.left, mark)))

    def runs(self, vm: Uuid, run: int) -> None:
        """This run was resumed here: what was leaving has not gone, and what went has come back.

        A life that left, and is not the one that runs now, still has not been seen to end.
        """
        past, here = self.past(vm), self._here.get(vm)
        if past.left:
            left = _without(past.left, here.mark) if here and here.run == run else past.left
            self._keep(vm, PastLives(past.ended, _without(left, LEFT_UNMARKED)))

    def ends(self, vm: Uuid, mark: str) -> None:
        """The end of this life was proved here, or reported plainly."""
        if mark:
            past = self.past(vm)
            self._keep(vm, PastLives(_with(past.ended, mark), _without(past.left, mark)))

    def lost(self) -> None:
        """A hypervisor that was restarted may give the number of a life again."""
        self._fresh.clear()
        self._continuing.clear()

    # ---- what is remembered

    def recognised(self, vm: Uuid, run: int, mark: str) -> str:
        """The mark in a domain's metadata, if it is certain to be that life's own; else empty.

        run: ``NO_RUN`` if it was found in a saved image.  A run whose beginning is still to be heard is not trusted: a
        mark decides whether a life is old enough to be killed (S12).
        """
        fresh, here = self._fresh.get(vm), self._here.get(vm)
        heard = {NO_RUN, self._continuing.get(vm), fresh and fresh.run, here and here.run}
        return self._own(vm, run, mark) if run in heard else ""

    def _own(self, vm: Uuid, run: int, mark: str) -> str:
        """A definition that was written from a running domain's carries the mark of a life that is over or elsewhere:
        so does a snapshot, and a saved image that is restored a second time.
        """
        fresh = self._fresh.get(vm)
        if fresh is not None and fresh.run == run:
            return mark if mark == fresh.mark else ""
        return "" if mark in self.past(vm).ended else mark

    def here(self, vm: Uuid) -> str:
        """The mark of the life that is here, or was here last; empty if it is not known."""
        here = self._here.get(vm)
        return here.mark if here else ""

    def past(self, vm: Uuid) -> PastLives:
        """What ended and what left."""
        return self._past.get(vm, NO_LIVES)

    @property
    def remembered(self) -> Mapping[Uuid, PastLives]:
        """What must survive a restart."""
        return dict(self._past)

    def remember(self, past: Mapping[Uuid, PastLives]) -> None:
        """Take up what an earlier run of the daemon remembered, before the first connection."""
        self._past.update(past)

    def _keep(self, vm: Uuid, past: PastLives) -> None:
        if past == NO_LIVES:
            self._past.pop(vm, None)
        else:
            self._past[vm] = past


def _with(marks: tuple[str, ...], mark: str) -> tuple[str, ...]:
    return (*_without(marks, mark), mark)[-KEPT:]


def _without(marks: tuple[str, ...], mark: str) -> tuple[str, ...]:
    return tuple(known for known in marks if known != mark)
