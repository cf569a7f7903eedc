"""Decides what a host may say of lives that were here: which of them it saw end, and which it saw leave.

What a driver on libvirt has to remember of its events, so that a look means something (S2): the end of a life that
stood here plainly is an end; one that libvirt calls a migration is a departure; the death of a process that only
waited for a migration says nothing.
"""

from __future__ import annotations

from fencebus_agent.death import Power
from fencebus_agent.memory_machines import Glance, WorldEvent
from fencebus_schemas.model import LEFT_UNMARKED
from tests.sim.disk import LifeStory

PROVEN_ENDS = ("shutdown", "destroyed", "crashed", "failed")
"""Why a process that had the life ended with it, if no migration was under way."""


class Telling:
    """Reads the events of one VM on one host, in their order."""

    def __init__(self, story: LifeStory) -> None:
        self.story = story
        self._departing = False
        """Libvirt has spoken of a migration since the life last ran here."""
        self._stopped = ""
        """The mark of the life that was last seen to stop."""

    def heard(self, event: WorldEvent, mark: str) -> None:
        """``mark`` is of the life that a look directly after the event finds, empty if there is none."""
        if event.kind == "stopped":
            self._stop(event.detail)
        elif event.kind == "resumed" or (event.kind == "started" and event.detail != "migrated"):
            self._runs(mark)
        elif event.kind == "suspended":
            self._departing = self._departing or event.detail in ("migrated", "postcopy", "postcopy-failed")

    def looked(self, glance: Glance) -> None:
        """A look found a life in a plain state: it is here, whatever was missed."""
        if glance.life is not None and glance.power.plain and not glance.in_flight:
            self._runs(glance.life.mark)

    def killed(self, mark: str) -> None:
        """A kill of ours has ended that life, with a proof."""
        if mark not in self.story.ended:
            self.story.ended.append(mark)
        if self.story.here in (mark, ""):
            # libvirt tells of this end later, and means this life then, none that had left before.
            self.story.here, self._stopped = "", mark

    def lost(self) -> None:
        """Events may have been missed: which life is here is to be read anew."""
        self.story.here, self._stopped, self._departing = "", "", False

    def _runs(self, mark: str) -> None:
        if not mark:
            return
        if mark != self.story.here:
            self.story.here = mark
        self.story.left = []
        self._departing = False

    def _stop(self, detail: str) -> None:
        mark = self.story.here or self._stopped
        self.story.here, self._stopped = "", mark
        if detail == "migrated":
            self._leave(mark or LEFT_UNMARKED)
        elif detail in PROVEN_ENDS and mark and not self._departing and mark not in self.story.ended:
            self.story.ended.append(mark)

    def _leave(self, mark: str) -> None:
        """libvirt's second word, after a "destroyed" that was a migration's source (facts: libvirt 2.2)."""
        if mark in self.story.ended:
            self.story.ended.remove(mark)
        if mark not in self.story.left:
            self.story.left.append(mark)


def left_marks(glance: Glance, story: LifeStory) -> tuple[str, ...]:
    """What a sight says has left: what the driver saw, and what libvirt still knows of a time without a driver."""
    if glance.power is Power.LEFT and not story.left:
        return (LEFT_UNMARKED,)
    return tuple(story.left)
