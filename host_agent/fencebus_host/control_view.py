"""Converts what hosts say of their VMs to who has what, and two such views to what has happened between them.  Pure.

For people: nothing here decides anything about a fence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fencebus_schemas.model import VmRecord, VmState
from fencebus_schemas.status import Claim, EventKind, EventStatus, HostState, HostStatus, StateCount, VmStatus

MUTE = (HostState.SILENT, HostState.UNHEARD)
CONFLICT, INCOMING, SILENT_OWNER, UNKNOWN = "conflict", "incoming", "silent-owner", "unknown"

_WEIGHT = {
    VmState.RUNNING: 5,
    VmState.PAUSED: 4,
    VmState.SAVED: 3,
    VmState.INCOMING: 2,
    VmState.UNKNOWN: 1,
    VmState.OFF: 0,
}


@dataclass(frozen=True, slots=True)
class View:
    """What was known at one moment."""

    vms: Mapping[str, VmStatus] = field(default_factory=dict)
    hosts: Mapping[str, HostStatus] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Hosts that may have VMs of which nothing is known here."""


def vm_status(records: Sequence[VmRecord], mute: frozenset[str], since: float | None = None) -> VmStatus:
    """One VM, from all that is said of it; ``mute`` hosts were not heard for long."""
    first = max(records, key=lambda record: _WEIGHT[record.state])
    lives = [record for record in records if record.state.is_claim]
    owners = [record for record in lives if record.state is not VmState.INCOMING]
    clusters = [record.cluster for record in records if record.cluster]
    return VmStatus(
        uuid=first.uuid,
        name=first.name,
        state=first.state.value,
        owner=owners[0].host if len(owners) == 1 else None,
        claims=tuple(
            Claim(each.host, each.state.value, each.hypervisor, each.generation, each.host in mute) for each in records
        ),
        cluster=clusters[0] if clusters else None,
        since=since,
        troubles=tuple(_troubles(records, owners, mute)),
    )


def _troubles(records: Sequence[VmRecord], owners: Sequence[VmRecord], mute: frozenset[str]) -> Iterable[str]:
    states = {record.state for record in records}
    if len(owners) > 1:
        yield CONFLICT
    if VmState.INCOMING in states:
        yield INCOMING
    if any(record.host in mute for record in owners):
        yield SILENT_OWNER
    if not owners and VmState.UNKNOWN in states:
        yield UNKNOWN


class Viewer:
    """Makes each view from the one before: of ten thousand VMs few change at a time."""

    def __init__(self) -> None:
        self.view = View()
        self._told: list[VmRecord] = []
        self._records: dict[str, tuple[VmRecord, ...]] = {}
        self._mute: frozenset[str] = frozenset()
        self._began = False

    def look(
        self, records: Iterable[VmRecord], hosts: Sequence[HostStatus], at: float, unread: tuple[str, ...] = ()
    ) -> tuple[EventStatus, ...]:
        """Take a new view; returns what has happened since the last one, nothing for the first."""
        mute = frozenset(host.name for host in hosts if host.state in MUTE)
        before, told = self.view, list(records)
        if self._began and told == self._told and mute == self._mute:
            self.view = View(before.vms, {host.name: host for host in _counted_as(hosts, before)}, unread)
            return tuple(differences(before, self.view, at))
        self._told = told
        said: dict[str, list[VmRecord]] = {}
        for record in told:
            said.setdefault(record.uuid, []).append(record)
        vms = dict[str, VmStatus]()
        for uuid, each in said.items():
            vms[uuid] = self._vm(uuid, tuple(each), mute, at)
        self.view = View(vms, {host.name: host for host in _counted(hosts, vms)}, unread)
        self._records = {uuid: tuple(each) for uuid, each in said.items()}
        self._mute = mute
        began, self._began = self._began, True
        return tuple(differences(before, self.view, at)) if began else ()

    def _vm(self, uuid: str, records: tuple[VmRecord, ...], mute: frozenset[str], at: float) -> VmStatus:
        before = self.view.vms.get(uuid)
        if before is not None and mute == self._mute and self._records[uuid] == records:
            return before
        made = vm_status(records, mute, at if self._began else None)
        if before is not None and (before.state, before.owner) == (made.state, made.owner):
            return replace(made, since=before.since)
        return made


def _counted_as(hosts: Sequence[HostStatus], before: View) -> Iterable[HostStatus]:
    """The hosts, where no VM has changed."""
    for host in hosts:
        was = before.hosts.get(host.name)
        yield replace(host, vms=was.vms, claims=was.claims) if was else host


def _counted(hosts: Sequence[HostStatus], vms: Mapping[str, VmStatus]) -> Iterable[HostStatus]:
    """The hosts, each with how many VMs it has."""
    known: dict[str, int] = {}
    lives: dict[str, int] = {}
    for vm in vms.values():
        for claim in vm.claims:
            known[claim.host] = known.get(claim.host, 0) + 1
            if VmState(claim.state).is_claim:
                lives[claim.host] = lives.get(claim.host, 0) + 1
    return [replace(host, vms=known.get(host.name, 0), claims=lives.get(host.name, 0)) for host in hosts]


def counts(vms: Iterable[VmStatus]) -> tuple[StateCount, ...]:
    """How many VMs are in which state; states that no VM is in are left out."""
    found: dict[str, int] = {}
    for vm in vms:
        found[vm.state] = found.get(vm.state, 0) + 1
    return tuple(StateCount(state.value, found[state.value]) for state in _WEIGHT if state.value in found)


# -- what has happened ----------


def differences(before: View, after: View, at: float) -> Iterable[EventStatus]:
    """What happened to hosts, then to VMs; the events have no numbers yet."""
    for name in sorted({*before.hosts, *after.hosts}):
        yield from _of_host(name, before.hosts.get(name), after.hosts.get(name), at)
    if after.vms is before.vms:
        return
    for uuid, vm in after.vms.items():
        was = before.vms.get(uuid)
        if was is not vm:
            yield from _of_vm(was, vm, at)
    for uuid, gone in before.vms.items():
        if uuid not in after.vms:
            yield _vm_event(EventKind.VM_GONE, gone, f"{gone.name} is defined nowhere any more", at)


def _of_host(name: str, was: HostStatus | None, now: HostStatus | None, at: float) -> Iterable[EventStatus]:
    if now is None:
        yield EventStatus(0, at, EventKind.HOST_LEFT, f"{name} is no member any more", host=name)
    elif was is None:
        yield EventStatus(0, at, EventKind.HOST_JOINED, f"{name} is a member ({now.state.value})", host=name)
    elif was.state is not now.state:
        text = f"{name}: {was.state.value} -> {now.state.value}"
        yield EventStatus(0, at, EventKind.HOST_CHANGED, text, host=name)
    elif was.incarnation and was.incarnation != now.incarnation:
        yield EventStatus(0, at, EventKind.HOST_CHANGED, f"{name}: its daemon was started anew", host=name)


def _of_vm(was: VmStatus | None, now: VmStatus, at: float) -> Iterable[EventStatus]:
    if was is None:
        where = f" on {now.owner}" if now.owner else ""
        yield _vm_event(EventKind.VM_APPEARED, now, f"{now.name} is {now.state}{where}", at)
    elif changes := list(_changes(was, now)):
        yield _vm_event(EventKind.VM_CHANGED, now, f"{now.name}: {', '.join(changes)}", at)


def _changes(was: VmStatus, now: VmStatus) -> Iterable[str]:
    if was.name != now.name:
        yield f"was called {was.name}"
    if was.state != now.state:
        yield f"{was.state} -> {now.state}"
    if was.owner != now.owner:
        yield f"owner {was.owner or 'nobody'} -> {now.owner or 'nobody'}"
    if was.troubles != now.troubles:
        yield f"marks {' '.join(was.troubles) or 'none'} -> {' '.join(now.troubles) or 'none'}"


def _vm_event(kind: EventKind, vm: VmStatus, text: str, at: float) -> EventStatus:
    return EventStatus(0, at, kind, text, host=vm.owner or "", vm=vm.uuid, name=vm.name)
