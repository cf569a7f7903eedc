"""Decides which of several routers has a VM.  Pure.

The first router in the order that knows the VM has it.  One that is silent may know it: whatever a later one says, the
VM is not handed on, or a manager that is down for a moment would have its VM killed behind its back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fencebus_host.verdict import Evidence

NOBODY = Evidence(())


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of a target, and whose it is."""

    evidence: Evidence
    router: int | None = None
    """The place of its router in the order; ``None`` if it is nobody's, ambiguous, or a silent one's perhaps."""


def settles(answer: Evidence) -> bool:
    """Whether nobody behind this router need be asked: it has the VM, or may have it, or refuses to say."""
    return bool(answer.records or answer.silent or answer.objection)


def by_uuid(answers: Sequence[Evidence]) -> Choice:
    """The choice for a UUID, from the answers of the first routers in their order, up to one that settles it."""
    for place, answer in enumerate(answers):
        if settles(answer):
            return Choice(answer, place if answer.records else None)
    return Choice(NOBODY)


def by_name(answers: Sequence[Evidence]) -> Choice:
    """The choice for a name, from the answers of all routers in their order.

    S8: two VMs of one name are ambiguous, also where each router has but one; and while somebody is silent a name is
    nobody's yet.
    """
    records = tuple(record for answer in answers for record in answer.records)
    silent = tuple(dict.fromkeys(text for answer in answers for text in answer.silent))
    if len({record.uuid for record in records}) > 1:
        return Choice(Evidence(records, silent=silent))
    place = next((place for place, answer in enumerate(answers) if settles(answer)), None)
    if place is None:
        return Choice(NOBODY)
    return Choice(replace(answers[place], silent=silent), place if answers[place].records else None)
