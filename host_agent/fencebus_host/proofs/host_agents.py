"""Decides what a host's own fence agent is asked next, and what its answers prove (S13).  Pure.

Only a status of off counts, and only one that was asked for; an ``off`` that says it succeeded does not (facts:
managers 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.routers.fence_agent.contract import Finished, Power, Verb, power_of
from fencebus_schemas.model import HostId


class Leave(Enum):
    """What may be done about a host that is on."""

    LOOK = "look"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the agent that is over."""

    verb: Verb
    told: Finished


def next_verb(runs: Sequence[Run], leave: Leave) -> Verb | None:
    """``None`` if nothing more is to be asked now: a look, and with leave one ``off`` and a look behind it."""
    if not runs:
        return Verb.STATUS
    if runs[-1].verb is Verb.OFF:
        return Verb.STATUS
    acted = any(run.verb is Verb.OFF for run in runs)
    # Where a status cannot be had (an agent that does not reach the power switch), nothing is switched.
    return Verb.OFF if leave is Leave.ACT and not acted and power_of(runs[-1].told) is Power.ON else None


def says(host: HostId, agent: str, runs: Sequence[Run], restraint: str = "") -> Finding:
    """What the runs prove; ``restraint``: why the host may not be switched off, if that was asked for."""
    power = power_of(runs[-1].told) if runs and runs[-1].verb is Verb.STATUS else Power.UNKNOWN
    acted = any(run.verb is Verb.OFF for run in runs)
    if power is Power.OFF:
        did = f"{agent} was told to switch {host} off, and " if acted else f"{agent} "
        return Finding(Witness.FENCE_AGENT, Fate.OFF, f"{did}says that {host} is off")
    if power is Power.UNKNOWN:
        trouble, cut_off = (runs[-1].told.trouble, runs[-1].told.cut_off) if runs else ("it had no time", True)
        text = f"{agent} cannot say whether {host} is off ({trouble})"
        return Finding(Witness.FENCE_AGENT, Fate.UNKNOWN, text, cut_off=cut_off)
    text = f"{agent} says that {host} is switched on" + (" still" if acted else "")
    advice = restraint or f"if only fence_virtd on {host} has died, start it; if {host} hangs, have it fenced"
    return Finding(Witness.FENCE_AGENT, Fate.POWERED, f"{text}; {advice}")
