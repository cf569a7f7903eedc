"""Keeps the rounds of one request: who was asked what, who said what, and which two rounds were clean (S2).  Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace

from fencebus_host.denial import Word
from fencebus_schemas.model import HostId, Life, Sight, VmRecord, VmState
from fencebus_schemas.peer import GuardAnswer

NEVER = float("-inf")
"""When a claim came that nobody has made."""
UNSEEN_END = "it was there when the fence began and has left, and nobody saw it end"
DEAD = "dead"
"""In place of a guard's serial: on a dead host nothing comes and goes."""


class Rounds:
    """The words of the members, round by round.

    A round is clean if every member denies in it under a guard.  Two clean rounds, one right after the other and with
    nothing killed since the second was asked, are what S2 demands.
    """

    def __init__(self) -> None:
        self.number = 1
        self._clean: dict[HostId, Word] = {}
        self._words: dict[HostId, Word] = {}
        self._claims: dict[HostId, Word] = {}
        self._ended: set[str] = set()
        """Marks of the lives that were seen to end, wherever."""
        self._parted: set[HostId] = set()
        """Members whose last word of the life that they claimed is that it has left them."""
        self._recorded: set[tuple[HostId, str]] = set()
        """What was known to be where before this course heard of it: host, and mark of the life."""
        self.heard_from: set[HostId] = set()
        """Members that have said anything at all."""
        self.heard_at: dict[HostId, float] = {}
        """When each did so last."""
        self._history: dict[tuple[HostId, Sight], Sight] = {}
        self._denied_at: dict[HostId, float] = {}
        """Since when each member has denied under one guard, in the clean rounds until now."""

    def recorded(self, records: Iterable[VmRecord]) -> None:
        """What all were told of claims, before anybody was asked or while an answer is lost."""
        self._recorded.update((record.host, record.life) for record in records if record.life)

    def heard(self, answer: GuardAnswer, now: float) -> None:
        """A member's word; one of an earlier round says nothing of this one, but a claim is a claim (S3)."""
        if answer.sight is None:
            return
        self.heard_from.add(answer.sender)
        self.heard_at[answer.sender] = now
        word = Word(answer.sender, answer.incarnation, answer.serial, answer.sight, at=answer.stamp)
        self._history[answer.sender, answer.sight] = answer.sight
        self._ended.update(answer.sight.ended)
        if answer.sight.state.is_claim:
            self._claims[answer.sender] = replace(word, at=now)
            self._parted.discard(answer.sender)
        elif answer.sender not in self._claims:
            self._claim_of_the_departed(word)
        if answer.round == self.number:
            before = self._words.get(answer.sender, word)
            self._words[answer.sender] = word
            if self._is_broken(before, word):
                self._denied_at.pop(answer.sender, None)
            if self._denies(word):
                self._denied_at.setdefault(answer.sender, now)
                self._part(word)

    def _claim_of_the_departed(self, word: Word) -> None:
        """S3: a life that was known to be there, and had left when its host could first be heard, is claimed by nobody
        and runs somewhere: it is a claim, until somebody has seen it end.
        """
        mark = next((mark for mark in word.sight.left if (word.host, mark) in self._recorded), "")
        if mark:
            sight = replace(word.sight, state=VmState.UNKNOWN, life=Life(mark), detail=UNSEEN_END)
            self._claims[word.host] = replace(word, sight=sight, at=NEVER)
            self._parted.add(word.host)

    def _part(self, denial: Word) -> None:
        """S3: a claim is taken back only by a word that was asked for after the claim had come, as words overtake each
        other.  What was claimed and seen to leave is a claim still, until somebody has seen that life end.
        """
        claim = self._claims.get(denial.host)
        if claim is None or denial.at < claim.at:
            return
        self._parted.add(denial.host)
        if claimed_mark(claim) not in denial.sight.left:
            del self._claims[denial.host]

    def proven_dead(self, word: Word, round_: int, now: float) -> None:
        """S13: a proof that was asked for in this round stands for the member's denial in it."""
        if round_ == self.number:
            self._words[word.host] = word
            self._history[word.host, word.sight] = word.sight
            self._denied_at.setdefault(word.host, now)

    def stood_at(self, members: Iterable[HostId]) -> float | None:
        """Since when all of them have denied, without a break; ``None`` if not all do."""
        moments = [self._denied_at.get(host) for host in members]
        known = [moment for moment in moments if moment is not None]
        return max(known, default=0.0) if len(known) == len(moments) else None

    def dead(self) -> tuple[Word, ...]:
        """The proofs that stand for denials, in this round and in the clean one before it."""
        words = (*self._clean.values(), *self._words.values())
        return tuple(word for word in words if word.deposition is not None)

    def is_last(self, word: Word) -> bool:
        """It is the member's word in this very round."""
        return self._words.get(word.host) is word

    def ended(self, host: HostId, life: Life | None) -> None:
        """A member has confirmed the end of a life, and so of its claim, if that is the life that it claimed."""
        if life is not None:
            self._ended.add(life.mark)
        if claimed_mark(self._claims.get(host)) in ("", life and life.mark):
            self._claims.pop(host, None)

    def begin_again(self) -> None:
        """Something was killed, or somebody claims or doubts: nothing that was denied before counts any more."""
        self._clean, self._words, self._denied_at = {}, {}, {}
        self.number += 1

    def go_on(self, members: Iterable[HostId]) -> bool:
        """If all members denied in this round, and no clean one came before it, begin the second; true if so."""
        if self._clean or not self.is_clean(members):
            return False
        self._clean, self._words = self._words, {}
        self.number += 1
        return True

    def is_clean(self, members: Iterable[HostId]) -> bool:
        """All of them deny in this round."""
        return all(host in self._words and self._denies(self._words[host]) for host in members)

    def is_spoilt(self) -> bool:
        """Somebody does not deny in this round, or was not on guard throughout: it cannot become clean."""
        return any(not self._denies(word) for word in self._words.values()) or any(
            host in self._clean and self._is_broken(self._clean[host], word) for host, word in self._words.items()
        )

    def answered(self, host: HostId) -> bool:
        """The member has said something in this round."""
        return host in self._words

    def word(self, host: HostId) -> Word | None:
        """What it has said in this round."""
        return self._words.get(host)

    def claims(self, also_ended: Container[str] = ()) -> tuple[Word, ...]:
        """Standing claims, in the order of their hosts; ``also_ended``: marks of lives that ended with a dead host.

        S3: who says that it has a life knows better than who has seen an end of it: two copies have one mark.
        """
        return tuple(word for host, word in sorted(self._claims.items()) if not self._is_over(host, word, also_ended))

    def _is_over(self, host: HostId, claim: Word, also_ended: Container[str]) -> bool:
        """What has left its host has been seen to end elsewhere."""
        mark = claimed_mark(claim)
        return host in self._parted and (mark in self._ended or mark in also_ended)

    @property
    def first(self) -> tuple[Word, ...]:
        """The words of the clean round before this one; of this one, if there is none yet."""
        return tuple(self._clean.values()) or tuple(self._words.values())

    @property
    def second(self) -> tuple[Word, ...]:
        """The words of this round, if a clean one came before it."""
        return tuple(self._words.values()) if self._clean else ()

    @property
    def history(self) -> tuple[Sight, ...]:
        """Whatever was seen by anybody at any time."""
        return tuple(self._history.values())

    def _denies(self, word: Word) -> bool:
        return word.sight.denies and bool(word.serial)

    def _is_broken(self, first: Word, second: Word) -> bool:
        return (first.incarnation, first.serial) != (second.incarnation, second.serial)


def claimed_mark(claim: Word | None) -> str:
    """Of the life that is claimed; empty if it is not known."""
    life = claim.sight.life if claim is not None else None
    return life.mark if life is not None else ""
