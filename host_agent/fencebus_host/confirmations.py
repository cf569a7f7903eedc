"""Decides which operators' words about dead hosts stand (S13).  Pure.

Records are joined by the greater version, as those about members are: it does not matter in which order or over whom
they are heard.  Whoever hears a host again takes the word back for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.peer import Confirmed


class Confirmations:
    """The records as this host knows them."""

    def __init__(self, past: Iterable[Confirmed] = ()) -> None:
        self._records: dict[HostId, Confirmed] = {}
        self.learn(past)

    @property
    def records(self) -> tuple[Confirmed, ...]:
        """All of them, in the order of the hosts; those that were taken back as well."""
        return tuple(self._records[host] for host in sorted(self._records))

    def standing(self, host: HostId) -> Confirmed | None:
        """The operator's word about a host, if it stands."""
        record = self._records.get(host)
        return record if record is not None and record.stands else None

    def learn(self, records: Iterable[Confirmed]) -> tuple[Confirmed, ...]:
        """Join what another host knows to our own; returns what was new."""
        return tuple(record for record in records if self._take(record))

    def confirm(self, host: HostId, incarnation: Incarnation, who: str, when: str) -> tuple[Confirmed, ...]:
        """An operator says that this incarnation of a host is dead."""
        return self.learn((Confirmed(host, self._next(host), incarnation, who, when),))

    def heard(self, host: HostId) -> tuple[Confirmed, ...]:
        """A sign of life: the word is taken back; returns the record of that, if there was one to take back."""
        record = self.standing(host)
        return self.learn((replace(record, version=record.version + 1, stands=False),)) if record else ()

    def _next(self, host: HostId) -> int:
        record = self._records.get(host)
        return record.version + 1 if record else 1

    def _take(self, record: Confirmed) -> bool:
        """Of two records of one version the one that says less counts."""
        before = self._records.get(record.host)
        if before is not None and (before.version, not before.stands) >= (record.version, not record.stands):
            return False
        self._records[record.host] = record
        return True
