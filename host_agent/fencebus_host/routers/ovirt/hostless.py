"""Decides what is done, and what is proven, while the manager has lost the host of a VM.  Pure.

The rules of evidence (facts: managers 1.6): wait for the manager to say "down"; with ``host_fencing = "status"`` the
host's power management, asked through the manager, proves the end of everything on it once it has said "off" for a
while and the VM has turned up nowhere else; with ``"restart"`` the manager is told to power the host off and on, and
says "down" itself afterwards.  "Confirm that the host has been rebooted" is never sent: that is a promise.
"""

from __future__ import annotations

from fencebus_host.config.backends import HostFencing
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.steps import AskPower, LookAtHost, RestartHost, Seen, Step

ASK_AGAIN = 2.0
"""Seconds between two questions about a host's power."""
RESTART_AGAIN = 5.0
"""Seconds until a restart that was refused for now is tried again."""
SETTLED = 15.0
"""Seconds for which the power must be off.  A VM that was just being migrated when its host died may live at the
other end, and the manager hears of it within its round of questions to all hosts, which takes 15 s."""


class Hostless:
    """What is known about the lost host of one VM."""

    def __init__(self, fencing: HostFencing) -> None:
        self._fencing = fencing
        self._described = False
        self._host = ""
        self.name = "its host"
        self._status = ""
        self._off_since: float | None = None
        self._off_last = 0.0
        self._life_mark: str | None = None
        self._ask_at = 0.0
        self._trouble = ""
        self.acted = False
        """A restart of the host was asked for."""

    def next(self, seen: Seen, now: float) -> Step | None:
        """What to ask about the host; nothing if there is nothing to ask now."""
        self._forget_another(seen)
        if not self._host:
            return None
        if not self._described:
            self._described = True
            return LookAtHost(self._host)
        if self._fencing is HostFencing.NO or now < self._ask_at:
            return None
        if self._fencing is HostFencing.RESTART and not self.acted:
            self.acted = True
            return RestartHost(self._host, seen.life)
        self._ask_at = now + ASK_AGAIN
        return AskPower(self._host) if self._fencing is HostFencing.STATUS else None

    def _forget_another(self, seen: Seen) -> None:
        """What was said about one host, or one life, says nothing about another."""
        mark = seen.life.mark if seen.life else None
        if (self._host, self._life_mark) != (seen.vm.host, mark):
            self._host, self._life_mark = seen.vm.host, mark
            self._off_since, self._described, self.name, self._status = None, False, f"host {seen.vm.host}", ""

    def is_back(self) -> None:
        """The manager knows again where the VM is."""
        self._off_since = None

    def power(self, answer: str, asked_at: float) -> None:
        """The power management answered a question that was asked at ``asked_at``."""
        self._trouble = "" if answer == "off" else f"its power management says {answer or 'nothing'}"
        if answer != "off":
            self._off_since = None
        else:
            self._off_since = asked_at if self._off_since is None else self._off_since
            self._off_last = asked_at

    def is_proven_off(self, seen: Seen) -> bool:
        """True if the host of this very life is without power, asked after the request, for long enough; S13."""
        mark = seen.life.mark if seen.life else None
        if self._off_since is None or (self._host, self._life_mark) != (seen.vm.host, mark):
            return False
        return self._off_last - self._off_since >= SETTLED and seen.at > self._off_last

    def failed(self, error: ManagerError, doing: Step, now: float) -> bool:
        """True if what failed was about the host: then the VM is waited for, and nothing is over."""
        if not isinstance(doing, LookAtHost | AskPower | RestartHost):
            return False
        if not isinstance(doing, LookAtHost):
            self._trouble = str(error)
            self._off_since = None
        if isinstance(doing, RestartHost) and error.trouble is Trouble.CONFLICT:
            self.acted = False
        self._ask_at = now + RESTART_AGAIN
        return True

    def describe(self, name: str, status: str) -> None:
        """What the manager says of the host."""
        self.name, self._status = f"host {name or self._host}", status

    def missing(self) -> str:
        """What is missing for a proof."""
        state = f" ({self._status})" if self._status else ""
        return f"it was last on {self.name}{state}, which is not proven fenced" + (
            f": {self._trouble}" if self._trouble else ""
        )
