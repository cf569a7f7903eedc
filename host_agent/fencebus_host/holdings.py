"""Decides what one host has, from its inventory and its changes, with a digest that a change moves in constant time.

The digest is the sum of the records' hashes: it hangs neither on their order nor on the way that led to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from fencebus_schemas.model import Incarnation, Uuid, VmRecord

SPAN = 1 << 256
NO_GENERATION = -2
"""Of holdings that are known in part: no announce matches it, and no change follows it."""


class Holdings:
    """The VMs of one host as it last told them; records of one VM on two hypervisors stand side by side."""

    __slots__ = ("_records", "_sum", "generation", "incarnation")

    def __init__(self, incarnation: Incarnation, generation: int, records: Iterable[VmRecord] = ()) -> None:
        self.incarnation = incarnation
        self.generation = generation
        self._records: dict[Uuid, tuple[VmRecord, ...]] = {}
        self._sum = 0
        for record in records:
            self.put(record)

    def __iter__(self) -> Iterator[VmRecord]:
        for records in self._records.values():
            yield from records

    @property
    def digest(self) -> str:
        """Equal for two holdings if and only if they say the same of the same VMs."""
        return f"{self._sum:064x}"

    def of(self, vm: Uuid) -> tuple[VmRecord, ...]:
        """The records of one VM."""
        return self._records.get(vm, ())

    def put(self, record: VmRecord) -> None:
        """Let ``record`` take the place of the one of the same VM and hypervisor."""
        others = self._without(record)
        self._records[record.uuid] = (*others, record)
        self._sum = (self._sum + _number(record)) % SPAN

    def drop(self, record: VmRecord) -> None:
        """The host does not know this VM of this hypervisor any more."""
        others = self._without(record)
        if others:
            self._records[record.uuid] = others
        else:
            self._records.pop(record.uuid, None)

    def _without(self, record: VmRecord) -> tuple[VmRecord, ...]:
        """The VM's other records; the one that ``record`` replaces is out of the sum."""
        before = self.of(record.uuid)
        others = tuple(each for each in before if each.hypervisor != record.hypervisor)
        for each in before:
            if each.hypervisor == record.hypervisor:
                self._sum = (self._sum - _number(each)) % SPAN
        return others


def says(record: VmRecord) -> tuple[str | None, ...]:
    """What a record says of its VM, apart from who says it and when."""
    told = (record.uuid, record.name, record.state.value, record.hypervisor, record.cluster)
    return (*told, record.life) if record.life else told


def _number(record: VmRecord) -> int:
    return int.from_bytes(sha256(repr(says(record)).encode("utf-8", "surrogatepass")).digest(), "big")
