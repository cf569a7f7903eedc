"""What the stand-in's engine keeps: virtual machines, hosts and accounts, and what becomes of them.

Each rule names where a real engine has it: its class in ovirt-engine, or the section of the facts about managers.
Nothing here knows of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

NOT_RUNNING = frozenset({"down", "suspended", "image_locked", ""})
"""VMStatus.isNotRunning: certainly without a process."""
STOP_REFUSED = frozenset({"unknown", "image_locked", "saving_state", "restoring_state"})
"""StopVmCommandBase.validate: 409."""


class FaultError(Exception):
    """A request that the engine refuses: its HTTP status, and what the fault says."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(status, reason, detail)
        self.status = status
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Account:
    """Who may log in, and what they may do."""

    password: str
    admin: bool = True
    permits: frozenset[str] = frozenset({"stop", "start"})


@dataclass(slots=True)
class Host:
    """A host of the engine."""

    id: str
    name: str
    status: str = "up"
    power: str = "on"
    """What its power management says."""
    has_power_management: bool = True
    quiet_until: float = 0.0
    """The engine's quiet time between two acts on one host: 409 (facts: managers 1.5)."""


@dataclass(slots=True)
class Vm:
    """A virtual machine of the engine."""

    id: str
    name: str
    status: str = "up"
    host: str = "host-1"
    started: float = 0.0
    """Seconds since 1970."""
    stop_seconds: float = 0.05
    """From the acceptance of a stop to "down": the stand-in's own delay."""
    start_seconds: float = 0.05
    in_backup: bool = False
    deaf: bool = False
    """It takes stops and starts with a 200, and does nothing."""
    visible_to: frozenset[str] | None = None
    """Users that see it; ``None``: all."""


@dataclass(slots=True)
class World:
    """One engine's world."""

    vms: dict[str, Vm] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    _due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def settle(self) -> None:
        """Let happen what is due by now."""
        now = self.clock()
        ready = sorted((each for each in self._due if each[0] <= now), key=lambda each: each[0])
        self._due = [each for each in self._due if each[0] > now]
        for _, happen in ready:
            happen()

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Have something happen after so many seconds."""
        self._due.append((self.clock() + seconds, happen))
        if seconds <= 0:
            self.settle()

    # -- virtual machines ----------

    def add(self, *vms: Vm) -> None:
        """Put these in; they have run for an hour."""
        for vm in vms:
            vm.started = vm.started or self.clock() - 3600
            self.vms[vm.id] = vm

    def visible(self, user: str) -> Iterable[Vm]:
        """What the account sees."""
        return [vm for vm in self.vms.values() if vm.visible_to is None or user in vm.visible_to]

    def vm(self, user: str, uuid: str) -> Vm:
        """One VM; 404 if there is none, or if this account does not see it."""
        for vm in self.visible(user):
            if vm.id == uuid:
                return vm
        raise FaultError(404, "Operation Failed", "Entity not found")

    def act(self, user: str, uuid: str, action: str, force: bool) -> None:
        """Do ``action`` to a VM, or refuse it."""
        vm = self.vm(user, uuid)
        if action not in self.accounts[user].permits:
            # NO_PERMISSION (facts: managers 1.5)
            text = f"User is not authorized to perform this action on {vm.name}."
            raise FaultError(403, "Operation Failed", f"[{text}]")
        {"stop": self._stop, "start": self._start, "shutdown": self._stop, "reset": self._nothing}[action](vm, force)

    def _nothing(self, _vm: Vm, _force: bool) -> None:
        """A reset has no moment at which the VM is off."""

    def _stop(self, vm: Vm, force: bool) -> None:
        if vm.status in STOP_REFUSED:
            raise FaultError(409, "Operation Failed", f"[Cannot stop VM. VM is {vm.status}.]")
        if vm.in_backup and not force:
            raise FaultError(409, "Operation Failed", "[Cannot stop VM. A backup is running.]")
        if vm.status == "down" or vm.deaf:
            return  # a stop of what is down is a 200 that does nothing (facts: managers, 0.4)
        self.later(vm.stop_seconds, lambda: self._end(vm))

    def _end(self, vm: Vm) -> None:
        if vm.status != "unknown":
            vm.status, vm.host = "down", ""

    def _start(self, vm: Vm, _force: bool) -> None:
        if vm.status not in ("down", "suspended"):
            raise FaultError(409, "Operation Failed", "[Cannot run VM. VM is running or locked.]")
        up = [host.id for host in self.hosts.values() if host.status == "up"]
        if not up:
            raise FaultError(409, "Operation Failed", "[Cannot run VM. There is no host for it.]")
        if vm.deaf:
            return
        if vm.status == "down":
            vm.started = self.clock()  # a resumed one goes on with the life it had
        vm.status, vm.host = "wait_for_launch", up[0]
        self.later(vm.start_seconds, lambda: self._is_up(vm))

    def _is_up(self, vm: Vm) -> None:
        if vm.status == "wait_for_launch":
            vm.status = "up"

    # -- hosts ----------

    def lose(self, host: str) -> None:
        """A host falls silent: the engine does not know any more whether its VMs run (facts: managers 1.6)."""
        self.hosts[host].status = "non_responsive"
        for vm in self.vms.values():
            if vm.host == host and vm.status not in NOT_RUNNING:
                vm.status = "unknown"

    def _clear(self, host: Host) -> None:
        """What ran there is declared down: the engine powered the host off, or an operator gave his word."""
        for vm in self.vms.values():
            if vm.host == host.id and vm.status == "unknown":
                vm.status, vm.host = "down", ""

    def fence(self, user: str, host_id: str, fence_type: str) -> str:
        """Do something about a host's power; the word of its power management, where that was asked."""
        if not self.accounts[user].admin:
            raise FaultError(403, "Operation Failed", "[User is not authorized to perform this action.]")
        host = self.hosts.get(host_id)
        if host is None:
            raise FaultError(404, "Operation Failed", "Entity not found")
        if fence_type == "manual":
            host.status = "non_responsive"
            self._clear(host)
            return ""
        if not host.has_power_management:
            # A failed status is a 200 that says "failed" (facts: managers 1.6); anything else is refused.
            raise FaultError(
                200 if fence_type == "status" else 409, "Operation Failed", "[Power Management is disabled.]"
            )
        if fence_type == "status":
            return host.power
        if fence_type != "restart":
            raise FaultError(409, "Operation Failed", "[Host is not in maintenance.]")
        if self.clock() < host.quiet_until:
            raise FaultError(409, "Operation Failed", "[Another Power Management action is in progress.]")
        host.power, host.status = "off", "reboot"
        self._clear(host)
        self.later(0.2, lambda: self._is_back(host))
        return ""

    def _is_back(self, host: Host) -> None:
        host.power, host.status = "on", "up"
