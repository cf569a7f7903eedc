"""Decides which hosts are members, from what was seen, told, configured and forgotten.  Pure.

What is known is the set of all hosts ever seen, and for each at most one record of an operator's word.  Two such
knowledges are joined by union and by the greater record, so that it does not matter in which order, how often or over
whom they are heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from fencebus_host.effects import MemberSeen
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Forgotten

MemberRecord = MemberSeen | Forgotten


class Membership:
    """The members as this host knows them.  Only an operator's record takes one out (design 1, "member")."""

    def __init__(self, me: HostId, configured: frozenset[HostId] = frozenset()) -> None:
        """``configured`` hosts stay members here whatever is told: they, too, are an operator's word."""
        self._always = configured | {me}
        self._me = me
        self._seen: set[HostId] = set(self._always)
        self._records: dict[HostId, Forgotten] = {}
        self._members: frozenset[HostId] | None = None
        self._digest = ""

    # -- questions ----------

    @property
    def members(self) -> frozenset[HostId]:
        """Everybody who must deny; this host included, forgotten ones not."""
        if self._members is None:
            self._members = frozenset(host for host in self._seen if self._counts(host))
        return self._members

    @property
    def member_list(self) -> tuple[HostId, ...]:
        """The members in order."""
        return tuple(sorted(self.members))

    @property
    def forgotten(self) -> tuple[Forgotten, ...]:
        """All records of an operator's word, in order; those that took a host back in as well."""
        return tuple(self._records[host] for host in sorted(self._records))

    @property
    def digest(self) -> str:
        """Equal on two hosts if and only if neither has anything to tell the other about members."""
        if not self._digest:
            records = [(each.host, each.version, each.member) for each in self.forgotten]
            told = repr((sorted(self._seen), records))
            self._digest = sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        return self._digest

    # -- what is learnt ----------

    def learn(self, hosts: Iterable[HostId], records: Iterable[Forgotten] = ()) -> tuple[MemberRecord, ...]:
        """Join what another host knows to our own; returns what was new, in the order in which it is to be kept."""
        newer = [record for record in records if self._take(record)]
        new = sorted({*hosts, *(record.host for record in newer)} - self._seen)
        self._seen.update(new)
        if new or newer:
            self._members = None
            self._digest = ""
        return (*(MemberSeen(host) for host in new), *newer)

    def present(self, host: HostId) -> tuple[Forgotten, ...]:
        """``host`` speaks for itself: whoever is there is a member, also after it was forgotten.

        Returns the record that takes it back in, to be kept and spread.  Without it, a machine that was forgotten by
        mistake, or came back under its old name, would run VMs while nobody asked for its denial (S2).
        """
        record = self._records.get(host)
        if record is None or record.member:
            return ()
        back = Forgotten(host, record.version + 1, member=True)
        self.learn((), (back,))
        return (back,)

    def forget(self, host: HostId) -> tuple[Forgotten, ...]:
        """An operator ends a membership.  Returns the record; nothing for this host itself and for who is no member."""
        if host == self._me or host not in self.members:
            return ()
        before = self._records.get(host)
        record = Forgotten(host, before.version + 1 if before else 1)
        self.learn((), (record,))
        return (record,)

    def _take(self, record: Forgotten) -> bool:
        """Of two records of one version the one that demands more counts."""
        before = self._records.get(record.host)
        if before and (before.version, before.member) >= (record.version, record.member):
            return False
        self._records[record.host] = record
        return True

    def _counts(self, host: HostId) -> bool:
        record = self._records.get(host)
        return record is None or record.member or host in self._always
