"""Decides whether a host may be switched off for a request, so that no storm of them takes down hosts (S13).  Pure.

Times are seconds on this host's CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fencebus_schemas.model import HostId


@dataclass(frozen=True, slots=True)
class Limits:
    """How often hosts may be switched off by this daemon."""

    at_once: int = 1
    """So many different hosts within ``apart`` seconds, and not one more."""
    apart: float = 600.0
    """Seconds between two attempts on one host."""


@dataclass(frozen=True, slots=True)
class Company:
    """Who of the members is heard, this host included."""

    heard: int
    members: int


def why_not(host: HostId, attempts: Mapping[HostId, float], company: Company, limits: Limits, now: float) -> str:
    """What forbids an attempt on ``host`` now; empty if nothing does.

    ``attempts``: the last on each host.  An attempt that failed counts like one that succeeded.
    """
    last = attempts.get(host)
    if last is not None and now - last < limits.apart:
        return (
            f"{host} was to be switched off {now - last:.0f} s ago already, and not again within {limits.apart:.0f} s"
        )
    others = sorted(each for each, at in attempts.items() if each != host and now - at < limits.apart)
    if len(others) >= limits.at_once:
        return f"{', '.join(others)} had to be switched off within the last {limits.apart:.0f} s: no further host is"
    if 2 * company.heard < company.members:
        return f"this host hears only {company.heard} of {company.members} hosts: it may be this one that is cut off"
    return ""
