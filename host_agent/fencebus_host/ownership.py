"""Decides who the members are and who has which VM, from what hosts say of themselves.  Pure.

What is heard may be lost, late, doubled or out of order.  A claim or a member that is heard counts at once, because it
demands more; that a claim is gone is believed only in an unbroken sequence, or in an inventory.  Whatever does not fit
what is known makes this host fetch the sender's inventory anew (design 5).

``now`` is always seconds on this host's CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fencebus_host.acquaintance import HEARTBEAT, SILENT_AFTER, Acquaintance
from fencebus_host.catalogue import Catalogue
from fencebus_host.confirmations import Confirmations
from fencebus_host.effects import HostPicture, Kept
from fencebus_host.holdings import says
from fencebus_host.membership import Membership
from fencebus_host.pictures import Learnt, Pictures
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord
from fencebus_schemas.peer import (
    EVERYONE,
    Announce,
    Change,
    Confirm,
    Confirmed,
    Fetch,
    Forget,
    Forgotten,
    Inventory,
    Message,
)

__all__ = ["HEARTBEAT", "SILENT_AFTER", "Heard", "Ownership", "Past"]

FEW = 8
"""So many differences found in one reading are told one by one; more of them as a whole inventory."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the state folder remembered when the daemon started."""

    members: tuple[HostId, ...] = ()
    forgotten: tuple[Forgotten, ...] = ()
    pictures: tuple[HostPicture, ...] = ()
    """One of each host at most."""
    last_owners: tuple[tuple[Uuid, HostId], ...] = ()
    confirmed: tuple[Confirmed, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What follows from a word."""

    replies: tuple[Message, ...] = ()
    keep: tuple[Kept, ...] = ()
    """To be written down, in this order."""
    changed: frozenset[Uuid] = frozenset()
    """VMs of which something else is known now."""


NOTHING = Heard()


class Ownership:
    """The members, and what each of them has: a set of claims, never one owner (S3)."""

    def __init__(
        self,
        me: HostId,
        incarnation: Incarnation,
        configured: frozenset[HostId] = frozenset(),
        past: Past | None = None,
    ) -> None:
        """``configured`` is the ``hosts`` section, if there is one."""
        past = past or Past()
        self.configured = configured
        self.synced = bool(configured) or any(host != me for host in past.members)
        """False until this host has learnt from any other who the members are (S2)."""
        self.quorate = True
        """False where the carrier says that this host's part of the cluster is not the greater one."""
        self._me, self._incarnation = me, incarnation
        self._membership = Membership(me, configured)
        self._membership.learn(past.members, past.forgotten)
        self.confirmations = Confirmations(past.confirmed)
        """Operators' words about dead hosts; for reading only."""
        self._others = Acquaintance(me, incarnation)
        self._catalogue = Catalogue()
        self._pictures = Pictures(self._catalogue)
        self._recall(past)

    # -- questions ----------

    @property
    def members(self) -> frozenset[HostId]:
        """Everybody who must deny; this host included, forgotten ones not."""
        return self._membership.members

    @property
    def member_list(self) -> tuple[HostId, ...]:
        """The members in order."""
        return self._membership.member_list

    @property
    def members_digest(self) -> str:
        """Equal on two hosts that have nothing to tell each other about members."""
        return self._membership.digest

    @property
    def forgotten(self) -> tuple[Forgotten, ...]:
        """The records of an operator's word about members."""
        return self._membership.forgotten

    def conflicts(self, now: float) -> frozenset[HostId]:
        """The names that two live machines go by; this host's own, if another machine uses it."""
        return self._others.conflicts(now)

    def claimants(self, vm: Uuid) -> tuple[VmRecord, ...]:
        """The claims of all members as last heard, also of silent ones."""
        return tuple(record for record in self.known(vm) if record.state.is_claim)

    def known(self, vm: Uuid) -> tuple[VmRecord, ...]:
        """All that members say of the VM, claims or not, in the order of the hosts."""
        return self._catalogue.known(vm)

    def here(self, vm: Uuid) -> tuple[VmRecord, ...]:
        """What this host itself has of the VM, by its hypervisors."""
        return tuple(record for record in self.known(vm) if record.host == self._me)

    def last_owner(self, vm: Uuid) -> HostId | None:
        """The member that was the last to have the VM's life, as far as this host heard."""
        host = self._catalogue.last_owner(vm)
        return host if host in self.members else None

    def named(self, name: str) -> frozenset[Uuid]:
        """The VMs of this name (S8)."""
        return self._catalogue.named(name)

    def unread(self, now: float) -> tuple[str, ...]:
        """Who may have VMs of which nothing is known here, so that a name may yet be another VM's (S8)."""
        if not self.synced:
            return ("whoever else there is",)
        others = (host for host in self.member_list if host != self._me)
        twins = self.conflicts(now)
        return tuple(host for host in others if host in twins or not self._pictures.is_read(host))

    def everything(self) -> Iterable[VmRecord]:
        """All that is known of every VM, in the order of the hosts."""
        return iter(self._catalogue)

    def quote(self, host: HostId) -> tuple[str, Incarnation | None]:
        """The latest token and incarnation of ``host``, for a command to it; ``("", None)`` if none is known."""
        return self._others.quote(host)

    def heard_ago(self, host: HostId, now: float) -> float | None:
        """Seconds since ``host`` was heard; ``None`` if it was not since this daemon started."""
        return self._others.ago(host, now)

    def heard_at(self, host: HostId) -> float | None:
        """When ``host`` last gave a sign of life; ``None`` if it has not since this daemon started."""
        return self._others.heard_at(host)

    def incarnation_of(self, host: HostId) -> Incarnation | None:
        """The last that is known of a host, also of one that was not heard since this daemon started."""
        return self._others.quote(host)[1] or self._pictures.incarnation_of(host)

    def last_records(self, vm: Uuid, host: HostId) -> tuple[VmRecord, ...] | None:
        """What ``host`` last said of the VM, by its hypervisors; ``None`` if it was never read what it has."""
        if not self._pictures.is_read(host):
            return None
        return tuple(record for record in self.known(vm) if record.host == host)

    def is_silent(self, host: HostId, now: float) -> bool:
        """True if ``host`` has missed its heartbeats, or the carrier has seen it leave.

        A silent host is not a dead host (S13).
        """
        ago = self.heard_ago(host, now)
        return ago is None or ago > SILENT_AFTER or self._others.has_left(host)

    def last_word(self, vm: Uuid, host: HostId, now: float) -> str:
        """What is to be said of a member that did not answer: a clause, without a full stop (design 5, point 5)."""
        claims = [record for record in self.claimants(vm) if record.host == host]
        ago = self.heard_ago(host, now)
        if ago is None:
            silence = "has not been heard since this daemon started and is not proven fenced"
        elif ago > SILENT_AFTER:
            silence = f"has been silent for {ago:.0f} s and is not proven fenced"
        elif self._others.has_left(host):
            silence = f"has left the others, last heard {ago:.0f} s ago, and is not proven fenced"
        else:
            silence = "has not answered"
        return f"{claims[0].name} was last on {host}, which {silence}" if claims else f"{host} {silence}"

    # -- what is heard ----------

    def departed(self, host: HostId) -> None:
        """The carrier knows that nobody speaks for ``host`` any more: it is silent, and no more than that (S13)."""
        self._others.departed(host)

    def announce_heard(self, message: Announce, now: float) -> Heard:
        """A heartbeat; what does not fit it is fetched."""
        if not self._meet(message, message.token, now):
            return NOTHING
        learnt = self._joined((message.sender,), (), present=message.sender)
        if self._pictures.fits(message) and message.members == self.members_digest:
            return learnt
        return _both(learnt, self._fetch(message.sender, now))

    def inventory_heard(self, message: Inventory, now: float) -> Heard:
        """All that a host has takes the place of what was known of it, and its members are united with ours."""
        if not self._meet(message, "", now):
            return NOTHING
        self._others.answered(message.sender)
        learnt = self.members_told((message.sender, *message.members), message.forgotten, now)
        learnt = _both(learnt, self._confirmed(message.confirmed))
        if message.sender not in self.members:
            return learnt
        return _both(learnt, _heard(self._pictures.inventory(message, self._others.is_twin(message.sender, now))))

    def change_heard(self, message: Change, now: float) -> Heard:
        """One VM of a host has changed."""
        if not self._meet(message, "", now):
            return NOTHING
        learnt = self._joined((message.sender,), ())
        if message.sender not in self.members:
            return learnt
        learnt = _both(learnt, _heard(self._pictures.change(message)))
        return learnt if self._pictures.has_followed(message) else _both(learnt, self._fetch(message.sender, now))

    def fetch_heard(self, message: Fetch, now: float) -> Heard:
        """Somebody asks what this host has."""
        if not self._meet(message, "", now):
            return NOTHING
        learnt = self._joined((message.sender,), ())
        if message.to not in (self._me, EVERYONE):
            return learnt
        return _both(learnt, Heard((self.inventory_for(message.sender),)))

    def forget_heard(self, message: Forget, now: float) -> Heard:
        """An operator's records spread."""
        if not self._meet(message, "", now):
            return NOTHING
        return self._joined((message.sender,), message.records)

    def confirm_heard(self, message: Confirm, now: float) -> Heard:
        """An operator's records about dead hosts spread."""
        return self._confirmed(message.records) if self._meet(message, "", now) else NOTHING

    def life_heard(self, host: HostId) -> Heard:
        """Any sign of life of a host: an operator's word that it is dead is taken back, for all (S13)."""
        return self._told(self.confirmations.heard(host))

    def confirm_dead(self, host: HostId, who: str, when: str) -> Heard:
        """An operator vouches that a host is dead; nothing happens for this host, and for one that nobody has heard."""
        incarnation = self.incarnation_of(host)
        if host == self._me or host not in self.members or incarnation is None:
            return NOTHING
        return self._told(self.confirmations.confirm(host, incarnation, who, when))

    def confirmed(self) -> tuple[Message, ...]:
        """What is to be said again and again of operators' words, so that nobody misses it."""
        records = self.confirmations.records
        return (Confirm(self._me, self._incarnation, EVERYONE, records),) if records else ()

    def token_heard(self, host: HostId, incarnation: Incarnation, token: str, now: float) -> None:
        """An answer to a command of ours: a sign of life with a new token.

        A stranger's answer brings the member list that differs from ours, with the stranger in it: ``members_told``.
        """
        self._others.heard(host, incarnation, token, now)

    def members_told(self, members: tuple[HostId, ...], forgotten: tuple[Forgotten, ...], now: float) -> Heard:
        """The member list of another host: the union counts, and the greatest record about each."""
        self.synced = self.synced or any(host != self._me for host in members)
        return self._joined(members, forgotten)

    def forget(self, host: HostId, now: float) -> Heard:
        """An operator ends a membership; the record goes out to everyone.

        Nothing happens for this host itself, and for a host that is no member.  One that speaks again is a member
        again, and one that is configured here stays a member here.
        """
        records = self._membership.forget(host)
        if not records:
            return NOTHING
        return Heard((self._spread(records),), records, self._leave_out())

    # -- what this host has itself ----------

    def own_inventory(self, records: Sequence[VmRecord], now: float) -> Heard:
        """Everything was read anew.  Few differences are told one by one, many as an inventory."""
        mine = {
            (each.uuid, each.hypervisor): replace(each, host=self._me, incarnation=self._incarnation)
            for each in records
        }
        before = {(each.uuid, each.hypervisor): each for each in self._catalogue.of_host(self._me) or ()}
        gone = [record for place, record in before.items() if place not in mine]
        new = [each for place, each in mine.items() if place not in before or says(before[place]) != says(each)]
        if len(gone) + len(new) > FEW:
            return self._all_new(tuple(mine.values()))
        heard = [self.own_change(record, True, now) for record in gone]
        heard += [self.own_change(record, False, now) for record in new]
        return _both(*heard)

    def own_change(self, record: VmRecord, gone: bool, now: float) -> Heard:
        """One VM of this host has changed, or is known here no more: everyone is told."""
        record = replace(record, host=self._me, incarnation=self._incarnation)
        generation = self._own()[0] + 1
        heard = _heard(self._pictures.changed(record, gone, generation))
        change = Change(self._me, self._incarnation, EVERYONE, generation, self._own()[1], record, gone)
        return replace(heard, replies=(change,))

    def announce(self, token: str) -> Announce:
        """This host's heartbeat."""
        generation, digest = self._own()
        return Announce(self._me, self._incarnation, EVERYONE, generation, digest, self.members_digest, token)

    def inventory_for(self, host: HostId) -> Inventory:
        """All that this host has and whom it knows, for ``host`` or ``EVERYONE``."""
        generation, digest = self._own()
        records = tuple(self._catalogue.of_host(self._me) or ())
        who = (self.member_list, self.forgotten, self.confirmations.records)
        return Inventory(self._me, self._incarnation, host, generation, digest, records, *who)

    # -- inside ----------

    def _recall(self, past: Past) -> None:
        for picture in past.pictures:
            if picture.host == self._me:
                # Of before this daemon: told as ours until the hypervisor has been read, and never as older changes.
                mine = [replace(record, incarnation=self._incarnation) for record in picture.records]
                self._catalogue.replace(self._me, self._incarnation, 0, mine)
            elif picture.host in self.members:
                self._catalogue.replace(picture.host, picture.incarnation, picture.generation, picture.records)
        for vm, host in past.last_owners:
            self._catalogue.owned(vm, host)

    def _own(self) -> tuple[int, str]:
        holdings = self._pictures.holdings(self._me, self._incarnation, 0)
        return holdings.generation, holdings.digest

    def _meet(self, message: Message, token: str, now: float) -> bool:
        """Take down a sign of life; false for what goes by our own name: an echo or a twin gets no answer."""
        self._others.heard(message.sender, message.incarnation, token, now)
        return message.sender != self._me

    def _joined(self, hosts: Iterable[HostId], records: Iterable[Forgotten], present: HostId | None = None) -> Heard:
        """What follows from members and records told by another; ``present`` has spoken for itself."""
        learnt = self._membership.learn(hosts, records)
        back = (*self._membership.present(self._me), *(self._membership.present(present) if present else ()))
        keep = (*learnt, *back)
        if not keep:
            return NOTHING
        return Heard((self._spread(back),) if back else (), keep, self._leave_out())

    def _confirmed(self, records: tuple[Confirmed, ...]) -> Heard:
        # A word about this very host is contradicted by whoever reads it.
        told = self.confirmations.learn(records)
        return _both(Heard(keep=told), self.life_heard(self._me))

    def _told(self, records: tuple[Confirmed, ...]) -> Heard:
        return Heard(self.confirmed(), records) if records else NOTHING

    def _spread(self, records: tuple[Forgotten, ...]) -> Forget:
        return Forget(self._me, self._incarnation, EVERYONE, records)

    def _leave_out(self) -> frozenset[Uuid]:
        """Who is no member has nothing any more."""
        gone = [record.host for record in self.forgotten if record.host not in self.members]
        return frozenset(vm for host in gone for vm in self._catalogue.drop_host(host))

    def _fetch(self, host: HostId, now: float) -> Heard:
        if not self._others.may_ask(host, now):
            return NOTHING
        return Heard((Fetch(self._me, self._incarnation, host),))

    def _all_new(self, records: tuple[VmRecord, ...]) -> Heard:
        """Many of our own VMs differ from what was known."""
        heard = _heard(self._pictures.replaced(self._me, self._incarnation, self._own()[0] + 1, records))
        return replace(heard, replies=(self.inventory_for(EVERYONE),))


def _heard(learnt: Learnt) -> Heard:
    return Heard((), learnt.keep, learnt.changed)


def _both(*heard: Heard) -> Heard:
    """One after the other."""
    return Heard(
        tuple(reply for each in heard for reply in each.replies),
        tuple(record for each in heard for record in each.keep),
        frozenset(vm for each in heard for vm in each.changed),
    )
