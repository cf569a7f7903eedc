"""Decides how an on goes on: from what was seen of a VM to its start, and to the look that shows it running.  Pure.

A start is sent once (S4): only a manager that refused it for certain is asked again.  A suspended VM is stopped first,
which discards its memory: `on` never resumes an old life.
"""

from __future__ import annotations

from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.course import AGAIN
from fencebus_host.routers.ovirt.states import Conclusion, conclusion, shown, vm_state
from fencebus_host.routers.ovirt.steps import Done, Ending, Look, Seen, Start, Step, Stop, Wait
from fencebus_schemas.model import VmState

LOOK_AGAIN = 0.05
"""Seconds from an accepted start to the look; each further one waits twice as long, up to AGAIN."""

LAUNCHING = "wait_for_launch"
"""The manager has chosen a host, on which there may be no process yet, and perhaps never will be."""


class On:
    """One start of one VM at one manager."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._todo: Step | None = None
        self._look_at = 0.0
        self._pause = LOOK_AGAIN
        self._was: VmState | None = None
        self._last: Seen | None = None
        self._started = False
        self._launching = False
        self._discarded = False
        self._trouble: ManagerError | None = None
        self._ending: Ending | None = None

    def next(self, now: float) -> Step:
        """What to do now."""
        if self._ending is not None:
            return Done(self._ending)
        if now >= self._until:
            return Done(self._failed())
        todo, self._todo = self._todo, None
        if todo is not None:
            return todo
        return Look() if now >= self._look_at else Wait(min(self._look_at, self._until))

    def saw(self, seen: Seen, now: float) -> None:
        """A look at the VM was answered at ``now``."""
        self._last = seen
        self._was = self._was or vm_state(seen.vm.status)
        what = conclusion(seen.vm.status)
        self._look_at, self._pause = now + self._pause, min(2 * self._pause, AGAIN)
        if seen.vm.status == LAUNCHING:
            self._launching = True
        elif what is Conclusion.ALIVE:
            self._ending = Ending(vm_state(seen.vm.status), was=self._was, seen_at=seen.at)
        elif what is Conclusion.ENDED and self._launching:
            self._ending = self._failed()
        elif what is Conclusion.ENDED and not self._started:
            self._todo = Start()
        elif what is Conclusion.SAVED and not self._discarded:
            self._discarded = True
            self._todo = Stop(None)

    def accepted(self, doing: Step, now: float) -> None:
        """The manager has taken the start, or the stop that discards an old memory."""
        self._started = self._started or isinstance(doing, Start)
        self._trouble = None
        self._look_at, self._pause = now + LOOK_AGAIN, LOOK_AGAIN

    def failed(self, error: ManagerError, doing: Step, now: float) -> None:
        """What was tried did not succeed."""
        self._trouble = error
        if error.trouble is Trouble.DENIED:
            self._ending = Ending(VmState.UNKNOWN, seen_at=now, detail=str(error), denied=True)
        elif error.is_hopeless:
            self._ending = self._failed()
        elif isinstance(doing, Start):
            # Refused for certain, it may be asked for again; else only the VM's state says whether it was begun.
            self._started = error.trouble not in (Trouble.CONFLICT, Trouble.REFUSED)
        elif isinstance(doing, Stop):
            self._discarded = False
        self._look_at = now + AGAIN

    def _failed(self) -> Ending:
        parts = [str(self._trouble)] if self._trouble else []
        if self._last is not None:
            parts.append(f"the manager last reported {self._last.vm.name} {shown(self._last.vm.status)}")
        return Ending(
            VmState.UNKNOWN,
            was=self._was or VmState.UNKNOWN,
            seen_at=self._last.at if self._last else 0.0,
            detail="; ".join(parts),
        )
