"""Decides what a host's state folder holds after each write, a crash in the middle of one, and its removal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fencebus_host.catalogue import is_owners_word
from fencebus_host.effects import Deed, HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.ownership import Past
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord
from fencebus_schemas.peer import Confirmed, Forgotten


@dataclass(slots=True)
class LifeStory:
    """What a driver remembers of one VM's lives on its host."""

    here: str = ""
    """The mark of the life that runs or stands here, as last seen."""
    ended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Picture:
    incarnation: Incarnation
    generation: int
    records: dict[Uuid, VmRecord]


class Disk:
    """One host's state folder."""

    def __init__(self) -> None:
        self.full = False
        self.wipe()

    def wipe(self) -> None:
        """Somebody removes the folder."""
        self._members: dict[HostId, None] = {}
        self._forgotten: dict[HostId, Forgotten] = {}
        self._confirmed: dict[HostId, Confirmed] = {}
        self._pictures: dict[HostId, _Picture] = {}
        self._owners: dict[Uuid, HostId] = {}
        self.deeds: list[Deed] = []
        self.stories: dict[Uuid, LifeStory] = {}
        self.pending: list[Kept] = []

    def past(self) -> Past:
        """What a daemon finds when it starts."""
        pictures = tuple(
            HostPicture(host, each.incarnation, each.generation, tuple(each.records.values()))
            for host, each in self._pictures.items()
        )
        forgotten, confirmed = tuple(self._forgotten.values()), tuple(self._confirmed.values())
        return Past(tuple(self._members), forgotten, pictures, tuple(self._owners.items()), confirmed)

    def crash(self, chance: Callable[[], float]) -> None:
        """What was being written survives up to some record, as in one journal."""
        survivors = int(chance() * (len(self.pending) + 1))
        for record in self.pending[:survivors]:
            self._take(record)
        self.pending.clear()

    def complete(self) -> bool:
        """The oldest write in progress is done; false if there was no room for it."""
        record = self.pending.pop(0)
        if self.full:
            return False
        self._take(record)
        return True

    def _take(self, record: Kept) -> None:
        if isinstance(record, MemberSeen):
            self._members[record.host] = None
        elif isinstance(record, Forgotten):
            self._forgotten[record.host] = record
        elif isinstance(record, Confirmed):
            self._confirmed[record.host] = record
        elif isinstance(record, Deed):
            self.deeds.append(record)
        elif isinstance(record, HostPicture):
            self._pictures[record.host] = _Picture(
                record.incarnation, record.generation, {each.uuid: each for each in record.records}
            )
            for each in record.records:
                self._mark_owner(record.host, each)
        else:
            self._take_change(record)

    def _take_change(self, change: VmChanged) -> None:
        record = change.record
        picture = self._pictures.setdefault(change.host, _Picture(record.incarnation, change.generation, {}))
        picture.generation = change.generation
        picture.incarnation = record.incarnation
        if change.gone:
            picture.records.pop(record.uuid, None)
        else:
            picture.records[record.uuid] = record
            self._mark_owner(change.host, record)

    def _mark_owner(self, host: HostId, record: VmRecord) -> None:
        if is_owners_word(record.state):
            self._owners[record.uuid] = host
