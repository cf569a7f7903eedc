"""Decides what an agent is asked next until a power action is proven: what it said so far in, the next step out.  Pure.

``off`` is proven when the agent has said so twice: its own ``off`` succeeded, or an earlier ``status``, and now a
``status`` says OFF (facts: managers 6.1, 6.2).  ``on`` is proven by one ``status`` that says ON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from fencebus_host.routers.fence_agent.contract import Finished, Power, Verb, power_of

MOST_OFFS = 3
"""Times that ``off`` is tried while it fails.  One that says it succeeded is not repeated: who runs then may be a new
life (S12), and a hypervisor manager that starts a VM again has to be told to leave it alone."""
CONFIRMATIONS = 2
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
STATUS_RESERVE = 5.0
"""Seconds of a request's patience that are kept for the ``status`` behind an ``off``, at most a third of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """One run that is over, and what it was to do."""

    verb: Verb
    run: Finished


class Kind(Enum):
    """What comes next."""

    RUN = "run"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next; for RUN after ``pause`` seconds, and with this share of the remaining time."""

    kind: Kind
    verb: Verb = Verb.STATUS
    pause: float = 0.0


def next_step(goal: Verb, said: Sequence[Said]) -> Step:
    """What to do after everything that was ``said``; ``goal`` is OFF or ON.  The caller ends it at the deadline."""
    if not said:
        return Step(Kind.RUN, goal)
    if _is_proven(goal, said):
        return Step(Kind.PROVEN)
    if said[-1].verb is goal:
        return Step(Kind.RUN, Verb.STATUS)
    if _confirmations(said) == 0 and _may_repeat(goal, said):
        return Step(Kind.RUN, goal, _pause(said))
    return Step(Kind.RUN, Verb.STATUS, _pause(said))


def power_now(said: Sequence[Said]) -> Power:
    """What the last ``status`` said."""
    return next((power_of(each.run) for each in reversed(said) if each.verb is Verb.STATUS), Power.UNKNOWN)


def missing(goal: Verb, said: Sequence[Said]) -> str:
    """For people: why nothing is proven."""
    if not said:
        return f"there was no time left for {goal.value}"
    acted = [each.run for each in said if each.verb is goal]
    told = "succeeded" if acted[-1].done else f"failed ({acted[-1].trouble})"
    looks = [each.run for each in said if each.verb is Verb.STATUS]
    if not looks:
        return f"its {goal.value} {told}, and there was no time left for a status"
    # The last look may have been cut off by the deadline: the one before it tells more.
    telling = [look for look in looks if power_of(look) is not Power.UNKNOWN] or looks
    power = power_of(telling[-1])
    seen = f"cannot be told ({looks[-1].trouble})" if power is Power.UNKNOWN else f"is {power.value.upper()}"
    return f"its {goal.value} {told}, and the status {seen}"


def share(verb: Verb, remaining: float) -> float:
    """Seconds that a run may take of the ``remaining`` ones: behind an act there must be time to look."""
    return remaining - min(STATUS_RESERVE, remaining / 3) if verb.changes else remaining


def _is_proven(goal: Verb, said: Sequence[Said]) -> bool:
    if said[-1].verb is not Verb.STATUS:
        return False
    if goal is Verb.ON:
        return power_of(said[-1].run) is Power.ON
    return _confirmations(said) >= CONFIRMATIONS


def _confirmations(said: Sequence[Said]) -> int:
    """How often in a row, up to now, the agent has said OFF; its own successful ``off`` counts as one.

    The run ends at the first that says otherwise: what was off and is on again has to be proven off anew.
    """
    count = 0
    for each in reversed(said):
        if each.verb is Verb.OFF:
            return count + 1 if each.run.done and count else count
        if power_of(each.run) is not Power.OFF:
            return count
        count += 1
    return count


def _may_repeat(goal: Verb, said: Sequence[Said]) -> bool:
    acts = [each.run for each in said if each.verb is goal]
    return goal is Verb.OFF and len(acts) < MOST_OFFS and not any(run.done for run in acts)


def _pause(said: Sequence[Said]) -> float:
    looks = sum(each.verb is Verb.STATUS for each in said)
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (looks - 1)))
