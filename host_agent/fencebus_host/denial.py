"""Decides whether every member denied the VM, twice and under unbroken guards (S2, S3, S14).  Pure.

"Nobody has it" is the one conclusion about a VM that nobody has seen end.  Each rule here looks at an inquiry and
returns what it misses, as a sentence, or ``None``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host import host_death
from fencebus_host.host_death import Circumstances, Deposition
from fencebus_host.objection import Objection
from fencebus_schemas.model import LEFT_UNMARKED, HostId, Incarnation, Reason, Sight


@dataclass(frozen=True, slots=True)
class Word:
    """What one member said in one round."""

    host: HostId
    incarnation: Incarnation
    serial: str
    """Of the guard under which it said so; empty if none stood."""
    sight: Sight
    deposition: Deposition | None = None
    """S13: it is not the member's own word, but a proof that the member is dead."""
    at: float = float("-inf")
    """When it was asked for, so that it is no older; when it came, if it is a proof: that is no younger."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What the members said, as far as they did."""

    members: tuple[HostId, ...]
    """Everybody who must deny, as of now (S2: the union counts, again at the verdict)."""
    first: tuple[Word, ...] = ()
    """The last words of the last round that everybody answered before ``second`` was asked."""
    second: tuple[Word, ...] = ()
    """Words of the round that was asked after all of ``first`` and after the last kill."""
    claims: tuple[Word, ...] = ()
    """Whoever has claimed the VM and has neither denied nor ended it since, in any round."""
    history: tuple[Sight, ...] = ()
    """Everything that was said of lives that ended or left."""
    configured: bool = False
    """``hosts`` is configured: the members are known to be all."""
    synced: bool = True
    """This host knows its members: it has exchanged lists with one, or has ``hosts`` configured."""
    conflicts: tuple[HostId, ...] = ()
    """Names that two machines go by: their denials count for nothing."""
    silent: tuple[str, ...] = ()
    """What is to be said of members that did not answer, a clause each."""
    dead: tuple[tuple[HostId, Circumstances], ...] = ()
    """What is known, as of now, of each host for which a proof stands."""
    minority: HostId | None = None
    """This host, if its part of the cluster has no quorum: then its own eyes alone count."""


Rule = Callable[[Inquiry], Objection | None]


def s3_no_other_claim(inquiry: Inquiry) -> Objection | None:
    """S3: no success while a member's last word is that it has the target."""
    for word in inquiry.claims:
        text = f"{word.host} has it ({word.sight.state.value}) and has not confirmed its end"
        return Objection(Reason.STILL_CLAIMED, text + (f": {word.sight.detail}" if word.sight.detail else ""))
    return None


def s2_quorum_stands(inquiry: Inquiry) -> Objection | None:
    """S2: where the carrier counts the hosts, nothing is concluded about other hosts without the greater part."""
    if inquiry.minority is None:
        return None
    return Objection(Reason.NO_QUORUM, f"{inquiry.minority}'s part of the cluster has no quorum")


def s2_members_are_known(inquiry: Inquiry) -> Objection | None:
    """S2: an empty state folder knows nothing of other hosts until it has heard of the members from one of them."""
    if inquiry.synced or inquiry.configured:
        return None
    return Objection(Reason.NOT_SYNCED, "this host has not yet learnt from any other who the members are")


def s2_names_are_unique(inquiry: Inquiry) -> Objection | None:
    """One HostId from two machines is a conflict: neither's denials count."""
    twins = [host for host in inquiry.conflicts if host in inquiry.members]
    if twins:
        return Objection(Reason.CONFLICT, f"two machines call themselves {twins[0]}: what they deny counts for nothing")
    return None


def s2_every_member_answers(inquiry: Inquiry) -> Objection | None:
    """S2, S13: a silent host is not a dead host."""
    if inquiry.silent:
        return Objection(Reason.HOST_SILENT, " and ".join(inquiry.silent))
    return None


def s13_proofs_stand(inquiry: Inquiry) -> Objection | None:
    """S13: a proof of a host's death stands for that host's denial, as long as every clause of it holds."""
    around = dict(inquiry.dead)
    for word in (*inquiry.first, *inquiry.second):
        if word.deposition is None:
            continue
        if word.deposition.host != word.host or word.host not in around:
            return Objection(Reason.HOST_SILENT, f"{word.host} is not proven dead: that proof is another host's")
        if lack := host_death.missing(word.deposition, around[word.host]):
            return lack
    return None


def s2_every_member_denies(inquiry: Inquiry) -> Objection | None:
    """S2: each member denies under guard in the first round."""
    return _denied_by_all(inquiry, inquiry.first, "has not denied it")


def s2_every_member_denies_again(inquiry: Inquiry) -> Objection | None:
    """S2: each denies again when asked after the last first-round answer and after the last kill."""
    return _denied_by_all(inquiry, inquiry.second, "has not denied it a second time")


def s2_guards_are_unbroken(inquiry: Inquiry) -> Objection | None:
    """S2: between a member's two denials its guard stood, in the same incarnation: nothing came and went."""
    second = {word.host: (word.incarnation, word.serial) for word in inquiry.second}
    for word in inquiry.first:
        if word.host in second and second[word.host] != (word.incarnation, word.serial):
            return Objection(Reason.NOT_PROVEN, f"{word.host} was not on guard between its two denials")
    return None


def s2_somebody_knows_it(inquiry: Inquiry) -> Objection | None:
    """S2: a VM that nobody knows is a failure."""
    if any(sight.known for sight in inquiry.history):
        return None
    return Objection(Reason.UNKNOWN_VM, "no member knows this VM")


def s2_somebody_saw_it_end(inquiry: Inquiry) -> Objection | None:
    """S2: without a configured list of hosts, "nobody has it" counts only of a VM whose last life somebody saw end."""
    if inquiry.configured or any(sight.ended for sight in inquiry.history):
        return None
    text = "nobody has it, but nobody saw it end either: configure hosts { } to make the list of members certain"
    return Objection(Reason.NOT_PROVEN, text)


def s2_nobody_saw_it_leave(inquiry: Inquiry) -> Objection | None:
    """S2: a life that somebody saw migrate away and nobody saw end runs somewhere."""
    ended = {mark for sight in inquiry.history for mark in sight.ended} - {LEFT_UNMARKED}
    for sight in inquiry.history:
        if set(sight.left) - ended:
            return Objection(Reason.NOT_PROVEN, "it was seen to migrate away, and nobody saw it end")
    return None


def s13_denied_since_the_proofs(inquiry: Inquiry) -> Objection | None:
    """S13: a proof tells of one moment.  What a host had between two deaths it may have handed on, so that all who live
    deny once more, asked after the last of the proofs: it had not come to them by then, and the dead hand nothing on.
    """
    proven = max((word.at for word in inquiry.second if word.deposition is not None), default=float("-inf"))
    for word in inquiry.second:
        if word.deposition is None and word.at < proven:
            return Objection(Reason.NOT_PROVEN, f"{word.host} has not denied it since another host was found dead")
    return None


RULES: tuple[Rule, ...] = (
    s3_no_other_claim,
    s2_quorum_stands,
    s2_members_are_known,
    s2_names_are_unique,
    s2_every_member_answers,
    s13_proofs_stand,
    s2_somebody_knows_it,
    s2_nobody_saw_it_leave,
    s2_somebody_saw_it_end,
    s2_every_member_denies,
    s2_every_member_denies_again,
    s2_guards_are_unbroken,
    s13_denied_since_the_proofs,
)


def missing(inquiry: Inquiry) -> Objection | None:
    """The first thing that keeps ``inquiry`` from meaning "nobody has it"; ``None`` if nothing does."""
    return next((lack for rule in RULES if (lack := rule(inquiry))), None)


def _denied_by_all(inquiry: Inquiry, words: tuple[Word, ...], otherwise: str) -> Objection | None:
    denying = {word.host for word in words if word.serial and word.sight.denies}
    for host in inquiry.members:
        if host not in denying:
            return Objection(Reason.NOT_PROVEN, f"{host} {otherwise}")
    return None
