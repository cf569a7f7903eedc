"""Converts what each host has into who has which VM: the same records, found by host, UUID and name.

Most VMs are known to one host and most names stand for one VM, so the indexes hold a bare value until there is a
second one: 100,000 sets of one element would take more memory than the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from fencebus_host.holdings import Holdings, says
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState

K = TypeVar("K", bound=str)
V = TypeVar("V", bound=str)

Place = tuple[Uuid, str]
"""A VM and the hypervisor of its host that has it."""


class Index(Generic[K, V]):
    """From a key to its values, in the order in which they came."""

    __slots__ = ("_many", "_one")

    def __init__(self) -> None:
        self._one: dict[K, V] = {}
        self._many: dict[K, dict[V, None]] = {}

    def of(self, key: K) -> tuple[V, ...]:
        """The values of one key."""
        if key in self._many:
            return tuple(self._many[key])
        return (self._one[key],) if key in self._one else ()

    def add(self, key: K, value: V) -> None:
        """Once is enough."""
        if key in self._many:
            self._many[key][value] = None
        elif self._one.setdefault(key, value) != value:
            self._many[key] = {self._one.pop(key): None, value: None}

    def discard(self, key: K, value: V) -> None:
        """A value that is there goes."""
        if self._one.get(key) == value:
            del self._one[key]
        elif key in self._many:
            self._many[key].pop(value, None)
            if not self._many[key]:
                del self._many[key]


class Catalogue:
    """What every host has."""

    def __init__(self) -> None:
        self._hosts: dict[HostId, Holdings] = {}
        self._havers: Index[Uuid, HostId] = Index()
        self._named: Index[str, Uuid] = Index()
        self._last_owner: dict[Uuid, HostId] = {}

    def __iter__(self) -> Iterator[VmRecord]:
        for host in sorted(self._hosts):
            yield from self._hosts[host]

    def of_host(self, host: HostId) -> Holdings | None:
        """What one host has; for reading only."""
        return self._hosts.get(host)

    def known(self, vm: Uuid) -> tuple[VmRecord, ...]:
        """All records of one VM, by host."""
        return tuple(record for host in sorted(self._havers.of(vm)) for record in self._hosts[host].of(vm))

    def named(self, name: str) -> frozenset[Uuid]:
        """The VMs of this name."""
        return frozenset(self._named.of(name))

    def last_owner(self, vm: Uuid) -> HostId | None:
        """The host that was the last to say that it has the VM's life; the promise of a migration does not count."""
        return self._last_owner.get(vm)

    def owned(self, vm: Uuid, host: HostId) -> None:
        """``host`` is the last that had it."""
        self._last_owner[vm] = host

    def replace(
        self, host: HostId, incarnation: Incarnation, generation: int, records: Iterable[VmRecord]
    ) -> frozenset[Uuid]:
        """Let ``records`` take the place of all that the host had; returns the VMs of which something else is said."""
        before = _by_place(self._hosts.get(host, ()))
        after = _by_place(records)
        self.drop_host(host)
        holdings = self._hosts[host] = Holdings(incarnation, generation)
        for record in after.values():
            self._put(host, holdings, record)
        changed = frozenset(_unequal(before, after))
        for place in sorted(changed & after.keys()):
            self._mark_owner(host, after[place])
        return frozenset(vm for vm, _ in changed)

    def put(self, host: HostId, record: VmRecord) -> bool:
        """Let the host have ``record``; true if that says something else than before.  The host must be there."""
        holdings = self._hosts[host]
        before = [says(each) for each in holdings.of(record.uuid)]
        if says(record) in before:
            return False
        self._take_out(host, holdings, record)
        self._put(host, holdings, record)
        self._mark_owner(host, record)
        return True

    def drop(self, host: HostId, record: VmRecord) -> bool:
        """The host has this VM no more; true if it had.  The host must be there."""
        holdings = self._hosts[host]
        had = any(each.hypervisor == record.hypervisor for each in holdings.of(record.uuid))
        self._take_out(host, holdings, record)
        return had

    def drop_host(self, host: HostId) -> frozenset[Uuid]:
        """Nothing is known of this host any more; returns what it had."""
        holdings = self._hosts.get(host)
        if holdings is None:
            return frozenset()
        records = list(holdings)
        for record in records:
            self._take_out(host, holdings, record)
        del self._hosts[host]
        return frozenset(record.uuid for record in records)

    def _put(self, host: HostId, holdings: Holdings, record: VmRecord) -> None:
        holdings.put(record)
        self._havers.add(record.uuid, host)
        self._named.add(record.name, record.uuid)

    def _mark_owner(self, host: HostId, record: VmRecord) -> None:
        if is_owners_word(record.state):
            self._last_owner[record.uuid] = host

    def _take_out(self, host: HostId, holdings: Holdings, record: VmRecord) -> None:
        names = {each.name for each in holdings.of(record.uuid)}
        holdings.drop(record)
        if not holdings.of(record.uuid):
            self._havers.discard(record.uuid, host)
        for name in names - {each.name for each in self.known(record.uuid)}:
            self._named.discard(name, record.uuid)


def is_owners_word(state: VmState) -> bool:
    """True for a claim that only an owner makes: what comes in by migration may yet stay where it was."""
    return state.is_claim and state is not VmState.INCOMING


def _by_place(records: Iterable[VmRecord]) -> dict[Place, VmRecord]:
    return {(record.uuid, record.hypervisor): record for record in records}


def _unequal(before: dict[Place, VmRecord], after: dict[Place, VmRecord]) -> Iterator[Place]:
    yield from (place for place in before if place not in after or says(before[place]) != says(after[place]))
    yield from (place for place in after if place not in before)
