"""Records to be kept, in a row that hangs on nothing but its number, and what a perfect disk would give back of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fencebus_host.catalogue import is_owners_word
from fencebus_host.effects import Deed, HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.ownership import Past
from fencebus_host.picture_tables import Memory
from fencebus_schemas.model import (
    HostId,
    Incarnation,
    Life,
    Observation,
    Proof,
    RequestId,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import Confirmed, Forgotten
from tests.host_agent.federated_words import incarnation, vm_number

STATES = tuple(VmState)


def numbered(number: int) -> Kept:
    """The record of this number: every kind comes, and every fourth is a deed."""
    host = HostId(f"host{number % 3}")
    start = incarnation(host, number // 40)
    if number % 4 == 0:
        return deed(number)
    if number % 13 == 0:
        return HostPicture(
            host, start, number, tuple(_record(host, number + each, start) for each in range(number % 7))
        )
    if number % 17 == 0:
        return Forgotten(host, number // 20, bool(number % 2))
    if number % 19 == 0:
        return Confirmed(host, number // 19, start, "root\udcff", "now", bool(number % 2))
    if number % 5 == 0:
        return MemberSeen(HostId(f"host{number % 11}"))
    return VmChanged(host, number, _record(host, number, start), number % 3 == 1)


def deed(number: int) -> Deed:
    """What was done for one request."""
    seen = Observation(
        vm_number(number),
        VmState.OFF,
        HostId("here"),
        incarnation(HostId("here")),
        Proof.PROCESS_EXIT,
        float(number),
        ended=Life(f"life {number}", 0.5),
        detail="\udcff",
    )
    return Deed(f"identity {number}", RequestId(f"{number:06d}"), seen if number % 8 else None, None, "done")


def perfect(records: Sequence[Kept]) -> Memory:
    """What a disk gives back that has kept all of these and nothing else."""
    disk = _Disk()
    for record in records:
        disk.keep(record)
    pictures = tuple(HostPicture(host, *disk.hosts[host], disk.records(host)) for host in sorted(disk.hosts))
    forgotten = tuple(disk.forgotten[host] for host in sorted(disk.forgotten))
    confirmed = tuple(disk.confirmed[host] for host in sorted(disk.confirmed))
    past = Past(tuple(sorted(disk.members)), forgotten, pictures, tuple(sorted(disk.owners.items())), confirmed)
    return Memory(past, tuple(disk.deeds))


Place = tuple[str, str]


class _Disk:
    def __init__(self) -> None:
        self.members: set[HostId] = set()
        self.forgotten: dict[HostId, Forgotten] = {}
        self.confirmed: dict[HostId, Confirmed] = {}
        self.hosts: dict[HostId, tuple[Incarnation, int]] = {}
        self.vms: dict[HostId, dict[Place, VmRecord]] = {}
        self.owners: dict[Uuid, HostId] = {}
        self.deeds: list[Deed] = []

    def keep(self, record: Kept) -> None:
        if isinstance(record, MemberSeen):
            self.members.add(record.host)
        elif isinstance(record, Forgotten):
            greatest = (self.forgotten.get(record.host, record), record)
            self.forgotten[record.host] = max(greatest, key=lambda each: (each.version, each.member))
        elif isinstance(record, Confirmed):
            self.confirmed[record.host] = record
        elif isinstance(record, HostPicture):
            self._picture(record)
        elif isinstance(record, VmChanged):
            self._change(record)
        else:
            self.deeds.append(record)

    def records(self, host: HostId) -> tuple[VmRecord, ...]:
        return tuple(each for _, each in sorted(self.vms.get(host, {}).items()))

    def _picture(self, picture: HostPicture) -> None:
        before = self.hosts.get(picture.host, (picture.incarnation, 0))[0]
        had = {place: _said(each, before) for place, each in self.vms.get(picture.host, {}).items()}
        self.hosts[picture.host] = (picture.incarnation, picture.generation)
        now: dict[Place, VmRecord] = {(each.uuid, each.hypervisor): each for each in picture.records}
        self.vms[picture.host] = now
        for place, each in now.items():
            self._own(each, picture.host, had.get(place) != _said(each, picture.incarnation))

    def _change(self, change: VmChanged) -> None:
        record = change.record
        started = self.hosts.get(change.host, (record.incarnation, 0))[0]
        self.hosts[change.host] = (started, change.generation)
        vms = self.vms.setdefault(change.host, {})
        if change.gone:
            vms.pop((record.uuid, record.hypervisor), None)
        else:
            vms[record.uuid, record.hypervisor] = record
            self._own(record, change.host, True)

    def _own(self, record: VmRecord, host: HostId, is_new: bool) -> None:
        if is_new and is_owners_word(record.state):
            self.owners[record.uuid] = host


def _said(record: VmRecord, incarnation: Incarnation) -> VmRecord:
    """As if the daemon had not been started again."""
    nobody = Incarnation("", "", "")
    return replace(record, incarnation=nobody) if record.incarnation == incarnation else record


def _record(host: HostId, number: int, start: Incarnation) -> VmRecord:
    hypervisor = "" if number % 5 else "test:///ü"
    return VmRecord(
        vm_number(number % 6),
        "\udc80vm",
        STATES[number % len(STATES)],
        host,
        start,
        number,
        "cluster" if number % 2 else None,
        hypervisor,
    )
