"""Decides how an off goes on: from what was seen of a VM to the next request, up to a proof or the end of the time.

Pure: ``next`` says what to do, the shell does it and reports with ``saw``, ``accepted``, ``failed`` or ``power``; all
times are CLOCK_BOOTTIME seconds that the shell brings.  The states' table is in ``states``; what counts as the end of a
life: the manager says "down" (or a state without a process that lasts), or the host's power is off.  A 200 to a stop is
no proof.
"""

from __future__ import annotations

from fencebus_host.config.backends import HostFencing
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.hostless import Hostless
from fencebus_host.routers.ovirt.pace import Pace
from fencebus_host.routers.ovirt.states import Conclusion, conclusion, shown, vm_state
from fencebus_host.routers.ovirt.steps import Done, Ending, Look, Seen, Step, Stop, Wait
from fencebus_schemas.model import Life, Proof, VmState

AGAIN = 0.5
"""Seconds between two tries of what the manager did not answer, or refused for now."""
STOP_AGAIN = 5.0
"""Seconds after an accepted stop at which a VM that still runs is stopped once more: an off may be repeated (S4)."""
STAYS = 0.5
"""Seconds for which an abnormal state has to last to be believed."""


class Off:
    """One off of one VM at one manager."""

    def __init__(self, until: float, pace: Pace, fencing: HostFencing = HostFencing.NO) -> None:
        self._until = until
        self._pace = pace
        self._hostless = Hostless(fencing)
        self._todo: Step | None = None
        self._look_at = 0.0
        self._stop_at = 0.0
        self._may_stop = True
        self._first: Seen | None = None
        self._last: Seen | None = None
        self._abnormal_since: float | None = None
        self._stops: list[float] = []
        """When each stop was accepted."""
        self._still: float | None = None
        """The last look after a stop at which the VM was not down."""
        self._trouble: ManagerError | None = None
        self._ending: Ending | None = None

    def next(self, now: float) -> Step:
        """What to do now."""
        if self._ending is not None:
            return Done(self._ending)
        if now >= self._until:
            return Done(self._unproven())
        todo, self._todo = self._todo, None
        if todo is not None:
            return todo
        return Look() if now >= self._look_at else Wait(min(self._look_at, self._until))

    # -- what the shell reports ----------

    def saw(self, seen: Seen, now: float) -> None:
        """A look at the VM was answered at ``now``."""
        self._first = self._first or seen
        self._last, self._trouble = seen, None
        what = conclusion(seen.vm.status)
        if what is not Conclusion.ABNORMAL:
            self._abnormal_since = None
        if what is not Conclusion.UNKNOWN:
            self._hostless.is_back()
        if what is Conclusion.ENDED:
            self._learn(seen.at)
            self._ending = self._ended(seen)
        elif what is Conclusion.ABNORMAL:
            self._saw_abnormal(seen, now)
        elif what is Conclusion.UNKNOWN:
            self._saw_unknown(seen, now)
        elif what is Conclusion.BUSY:
            self._look_at = now + AGAIN
        else:
            self._saw_alive(seen, now)

    def accepted(self, _doing: Step, now: float) -> None:
        """The manager has taken a stop, or the restart of a host."""
        self._trouble, self._still = None, None
        self._stops.append(now)
        self._stop_at = now + STOP_AGAIN
        self._look_at = self._pace.next_look(0.0) + now

    def refused(self) -> None:
        """The life may not be ended any more, though a stop was sent: only look from here on."""
        self._may_stop = False

    def failed(self, error: ManagerError, doing: Step, now: float) -> None:
        """What was tried did not succeed."""
        self._trouble = error
        if self._hostless.failed(error, doing, now):
            self._look_at = now + AGAIN
        elif error.trouble is Trouble.DENIED:
            self._ending = Ending(VmState.UNKNOWN, seen_at=now, detail=str(error), denied=True)
        elif error.is_hopeless:
            self._ending = Ending(VmState.UNKNOWN, seen_at=now, detail=self._said(error))
        elif isinstance(doing, Look):
            self._look_at = now + AGAIN
        else:
            # Whether a stop that was not answered was carried out, only the VM's state says: look at once.
            silent = error.trouble is Trouble.SILENT
            self._stop_at, self._look_at = now + (STOP_AGAIN if silent else AGAIN), now

    def power(self, answer: str, asked_at: float, now: float) -> None:
        """The host's power management has said on, off, or something else."""
        self._hostless.power(answer, asked_at)
        self._look_at = now

    def host_is(self, name: str, status: str) -> None:
        """What the manager says of the VM's host, for the message."""
        self._hostless.describe(name, status)

    # -- deciding ----------

    def _saw_alive(self, seen: Seen, now: float) -> None:
        if self._may_stop and now >= self._stop_at:
            self._todo = Stop(seen.life)
        elif self._stops:
            self._still = seen.at - self._stops[-1]
            self._look_at = self._stops[-1] + self._pace.next_look(max(self._still, 0.0))
        else:
            self._look_at = now + AGAIN

    def _saw_abnormal(self, seen: Seen, now: float) -> None:
        if self._abnormal_since is None:
            self._abnormal_since = now
        if now - self._abnormal_since >= STAYS:
            self._ending = self._ended(seen, f"the manager reports it {shown(seen.vm.status)}, and so not running")
        else:
            self._look_at = now + STAYS / 3

    def _saw_unknown(self, seen: Seen, now: float) -> None:
        if self._hostless.is_proven_off(seen):
            detail = f"the manager lost its host, and the power management of {self._hostless.name} says off"
            self._ending = Ending(VmState.OFF, Proof.HOST_FENCED, VmState.RUNNING, self._life(), seen.at, detail)
            return
        self._todo = self._hostless.next(seen, now) if self._may_stop else None
        self._look_at = now + AGAIN

    def _ended(self, seen: Seen, detail: str = "") -> Ending:
        was = self._was()
        ended = self._life() if was is not VmState.OFF else None
        return Ending(VmState.OFF, Proof.HYPERVISOR_WORD, was, ended, seen.at, detail)

    def _was(self) -> VmState:
        """The state before anything was done.  One that the manager lost ran, as far as it last knew."""
        assert self._first is not None
        state = vm_state(self._first.vm.status)
        return VmState.RUNNING if state is VmState.UNKNOWN and self._first.vm.host else state

    def _life(self) -> Life:
        """The life that was there first."""
        first = self._first
        return (first.life if first else None) or Life("unknown")

    def _learn(self, seen_at: float) -> None:
        if len(self._stops) == 1 and not self._hostless.acted:
            self._pace.learn(self._still, max(seen_at - self._stops[0], 0.0))

    # -- the end without a proof ----------

    def _unproven(self) -> Ending:
        last = self._last
        return Ending(
            vm_state(last.vm.status) if last and vm_state(last.vm.status) is not VmState.OFF else VmState.UNKNOWN,
            was=self._was() if self._first else VmState.UNKNOWN,
            seen_at=last.at if last else 0.0,
            detail=self._said(self._trouble),
        )

    def _said(self, trouble: ManagerError | None) -> str:
        """Everything that is known at the end, for people."""
        parts = [str(trouble)] if trouble else []
        if self._last is not None:
            vm = self._last.vm
            parts.append(f"the manager last reported {vm.name} {shown(vm.status)}")
            if conclusion(vm.status) is Conclusion.UNKNOWN:
                parts.append(self._hostless.missing())
        if self._stops:
            parts.append(f"it accepted {len(self._stops)} requests to stop it")
        return "; ".join(part for part in parts if part)
