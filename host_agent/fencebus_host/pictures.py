"""Decides what a host's inventory, change or heartbeat alters in what is known of it.  Pure.

A claim counts as soon as it is heard, in whatever order; that a claim is gone counts only in an unbroken sequence of
changes, or in an inventory.  A new incarnation's changes do not follow the old one's: until its inventory has come,
the old claims stay, because the VMs of a daemon that was restarted still run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fencebus_host.catalogue import Catalogue
from fencebus_host.effects import HostPicture, VmChanged
from fencebus_host.holdings import NO_GENERATION, Holdings
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord
from fencebus_schemas.peer import Announce, Change, Inventory, Message


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is to be written down, and the VMs of which something else is known now."""

    keep: tuple[HostPicture | VmChanged, ...] = ()
    changed: frozenset[Uuid] = frozenset()


class Pictures:
    """Writes what hosts say into the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def fits(self, message: Announce) -> bool:
        """True if all that the sender has is known."""
        holdings = self._catalogue.of_host(message.sender)
        return holdings is not None and _is(holdings, message) and holdings.digest == message.digest

    def is_read(self, host: HostId) -> bool:
        """True if an inventory of it was heard, now or once."""
        holdings = self._catalogue.of_host(host)
        return holdings is not None and holdings.generation != NO_GENERATION

    def incarnation_of(self, host: HostId) -> Incarnation | None:
        """The last one that told anything of what it has."""
        holdings = self._catalogue.of_host(host)
        return None if holdings is None else holdings.incarnation

    def inventory(self, message: Inventory, is_twin: bool) -> Learnt:
        """Take an inventory.  While two machines go by one name, the claims of the other stay beside its own."""
        host, holdings = message.sender, self._catalogue.of_host(message.sender)
        same = holdings is not None and holdings.incarnation == message.incarnation
        if holdings is not None and same and message.generation < holdings.generation:
            return Learnt()
        records = tuple(_owned(record, message) for record in message.records)
        if is_twin and holdings is not None:
            machine = message.incarnation.machine_id
            others = (each for each in holdings if each.incarnation.machine_id != machine)
            records = (*(each for each in others if each.state.is_claim), *records)
        return self.replaced(host, message.incarnation, message.generation, records)

    def change(self, message: Change) -> Learnt:
        """Take a change, if it follows what is known; a claim in any case, unless it is older than that."""
        record = _owned(message.record, message)
        holdings = self.holdings(message.sender, message.incarnation, NO_GENERATION)
        if holdings.incarnation == message.incarnation:
            if message.generation <= holdings.generation:
                return Learnt()
            if message.generation == holdings.generation + 1:
                return self.changed(record, message.gone, message.generation)
        if message.gone or not record.state.is_claim:
            return Learnt()
        return self.changed(record, False, holdings.generation)

    def has_followed(self, message: Change) -> bool:
        """True if, after ``change``, everything that the sender had at that time is known."""
        holdings = self._catalogue.of_host(message.sender)
        if holdings is None or holdings.incarnation != message.incarnation:
            return False
        newer = holdings.generation > message.generation
        return newer or (_is(holdings, message) and holdings.digest == message.digest)

    def changed(self, record: VmRecord, gone: bool, generation: int) -> Learnt:
        """One VM of ``record.host`` is different, or known there no more."""
        host = record.host
        holdings = self.holdings(host, record.incarnation, NO_GENERATION)
        differs = self._catalogue.drop(host, record) if gone else self._catalogue.put(host, record)
        holdings.generation = generation
        kept = VmChanged(host, generation, record, gone)
        return Learnt((kept,), frozenset((record.uuid,)) if differs else frozenset())

    def replaced(
        self, host: HostId, incarnation: Incarnation, generation: int, records: tuple[VmRecord, ...]
    ) -> Learnt:
        """All that ``host`` has is different."""
        changed = self._catalogue.replace(host, incarnation, generation, records)
        return Learnt((HostPicture(host, incarnation, generation, records),), changed)

    def holdings(self, host: HostId, incarnation: Incarnation, generation: int) -> Holdings:
        """What ``host`` has; nothing, as of ``generation``, if it was not known before."""
        found = self._catalogue.of_host(host)
        if found is None:
            self._catalogue.replace(host, incarnation, generation, ())
            return self.holdings(host, incarnation, generation)
        return found


def _is(holdings: Holdings, message: Announce | Change) -> bool:
    return (holdings.incarnation, holdings.generation) == (message.incarnation, message.generation)


def _owned(record: VmRecord, message: Message) -> VmRecord:
    """A host speaks for itself alone."""
    if record.host == message.sender and record.incarnation == message.incarnation:
        return record
    return replace(record, host=message.sender, incarnation=message.incarnation)
