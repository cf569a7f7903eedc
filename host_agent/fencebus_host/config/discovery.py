"""Decides which router this host takes when nobody chose one, from what was seen here.  Pure and deterministic.

The order is the design's (section 8): the first that fits is taken.  Three things stop it: a host that VDSM manages
and no manager to ask; a corosync that is configured and does not run; a fall below the router taken last time, which
needs an operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class HostEvidence:
    """What was seen on this host and in its configuration."""

    vdsm: tuple[str, ...] = ()
    """Signs that the host is managed by VDSM: paths."""
    manager_hint: str = ""
    """The address of its manager, as far as the host knows it, and where that was read."""
    corosync_configured: bool = False
    corosync_runs: bool = False
    corosync_trouble: str = ""
    """Why the daemon cannot join its group, though corosync runs; empty if it can."""
    configured: tuple[str, ...] = ()
    """The backends that have a section, in the configuration's words."""
    libvirt: str = ""
    """Why libvirt does not answer; empty if it does."""
    remembered: str = ""
    """The router taken last time; empty if there was none."""
    built_in: frozenset[str] = frozenset()
    """The backends that this version has."""


@dataclass(frozen=True, slots=True)
class Way:
    """One router of the order, and when it fits."""

    name: str
    kinds: tuple[str, ...]
    """Its words in the configuration, the preferred one first."""
    looked_for: str
    fits: Callable[[HostEvidence], bool]
    found: Callable[[HostEvidence], str]

    def kind(self, evidence: HostEvidence) -> str:
        """The word that would be taken."""
        return next((kind for kind in self.kinds if kind in evidence.configured), self.kinds[0])


def _section(*kinds: str) -> Callable[[HostEvidence], str]:
    return lambda seen: ", ".join(kind for kind in kinds if kind in seen.configured)


_MANAGER, _BUS, _AGENT = ("ovirt", "rhevm"), ("qmf", "libvirt-qmf", "libvirt-qpid"), ("fence_agent",)
_manager, _bus, _agent = _section(*_MANAGER), _section(*_BUS), _section(*_AGENT)


def _vdsm_found(seen: HostEvidence) -> str:
    here = f"VDSM ({seen.vdsm[0]})" if seen.vdsm else "no VDSM"
    return f"{here}, {'manager: ' + _manager(seen) if _manager(seen) else 'no manager'}"


def _corosync_found(seen: HostEvidence) -> str:
    if seen.corosync_runs:
        return f"corosync runs, but: {seen.corosync_trouble}" if seen.corosync_trouble else "corosync runs"
    return "corosync.conf, but corosync does not run" if seen.corosync_configured else "no corosync"


def _has_cluster(seen: HostEvidence) -> bool:
    return seen.corosync_runs and not seen.corosync_trouble


ORDER: tuple[Way, ...] = (
    Way(
        "ovirt",
        _MANAGER,
        "VDSM on this host, and a manager in the configuration",
        lambda seen: bool(seen.vdsm and _manager(seen)),
        _vdsm_found,
    ),
    Way("qmf", _BUS, "a bus in the configuration", lambda seen: bool(_bus(seen)), lambda seen: _bus(seen) or "no bus"),
    Way("checkpoint", ("checkpoint", "cpg"), "corosync running here", _has_cluster, _corosync_found),
    Way(
        "fence_agent",
        _AGENT,
        "a fence agent in the configuration",
        lambda seen: bool(_agent(seen)),
        lambda seen: _agent(seen) or "no fence agent",
    ),
    Way(
        "local",
        ("libvirt",),
        "libvirt on this host (the last resort)",
        lambda _seen: True,
        lambda seen: seen.libvirt or "libvirt answers",
    ),
)


class Course(Enum):
    """What the daemon does."""

    TAKE = "take"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table that explains the decision."""

    router: str
    looked_for: str
    found: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done, and why."""

    course: Course
    text: str
    """One sentence: what was taken and why, or what the operator has to do."""
    router: str = ""
    """The name of the router in the order; for TAKE alone."""
    kind: str = ""
    """Its word in the configuration."""
    rows: tuple[Row, ...] = field(default=())


def decide(seen: HostEvidence) -> Decision:
    """The decision for what was seen; the same for the same evidence."""
    fitting = [way for way in ORDER if way.fits(seen)]
    winner = next(way for way in fitting if _is_built_in(way, seen))
    stop = _vdsm_without_manager(seen) or _corosync_down(winner, seen) or _fall(winner, seen)
    rows = tuple(_row(way, winner if stop is None else None, seen) for way in ORDER)
    if stop is not None:
        return Decision(*stop, rows=rows)
    text = f"router {winner.name}: " + "; ".join(way.found(seen) for way in ORDER[: ORDER.index(winner) + 1])
    missing = [way.name for way in fitting if not _is_built_in(way, seen) and ORDER.index(way) < ORDER.index(winner)]
    if missing:
        text += f"; {', '.join(missing)} would fit, but is not in this version: VMs of other hosts are unknown here"
    return Decision(Course.TAKE, text, winner.name, winner.kind(seen), rows)


def why_forbidden(kinds: Sequence[str], kills_here: bool, seen: HostEvidence) -> str:
    """Why backends that somebody chose must not run here; empty if they may.

    kills_here: whether one of them would end VMs of this host's own libvirt.  Behind VDSM's back that makes the
    manager start them again elsewhere (facts: managers 0.9).
    """
    if not seen.vdsm or not (kills_here or {"cpg", "checkpoint"} & set(kinds)):
        return ""
    hint = _hint(seen)
    return f"this host belongs to VDSM ({seen.vdsm[0]}): its VMs are fenced through their manager alone{hint}"


def _is_built_in(way: Way, seen: HostEvidence) -> bool:
    return way.kind(seen) in seen.built_in


def _vdsm_without_manager(seen: HostEvidence) -> tuple[Course, str] | None:
    if not seen.vdsm or _manager(seen):
        return None
    text = f"this host belongs to VDSM ({seen.vdsm[0]}), and no manager is configured{_hint(seen)}"
    return Course.REFUSE, text


def _hint(seen: HostEvidence) -> str:
    address = seen.manager_hint.split(" ", 1)[0] or "MANAGER"
    known = f"; this host knows {seen.manager_hint}" if seen.manager_hint else ""
    return f'{known}: configure backends {{ ovirt {{ url = "https://{address}"; credentials_file = "..."; }} }}'


def _corosync_down(winner: Way, seen: HostEvidence) -> tuple[Course, str] | None:
    above = [way.name for way in ORDER[: [way.name for way in ORDER].index("checkpoint")]]
    meant = seen.corosync_configured or seen.corosync_runs
    if winner.name in above or _has_cluster(seen) or not meant:
        return None
    if seen.corosync_runs:
        text = f'corosync runs, but: {seen.corosync_trouble}: waiting for it (or choose with backend = "...")'
        return Course.WAIT, text
    text = (
        "corosync.conf is here, but corosync does not run: waiting for it"
        ' (start it; or remove corosync.conf; or choose with backend = "...")'
    )
    return Course.WAIT, text


def _fall(winner: Way, seen: HostEvidence) -> tuple[Course, str] | None:
    """What fenced VMs of other hosts yesterday must not take them for unknown, or for off, today."""
    names = [way.name for way in ORDER]
    if not seen.remembered:
        return None
    if seen.remembered in names and names.index(winner.name) <= names.index(seen.remembered):
        return None
    before = seen.remembered if seen.remembered in names else "one that this version does not know"
    text = f"this host's router was {before}, and now only {winner.name} fits ({winner.found(seen)})"
    return Course.REFUSE, text


def _row(way: Way, winner: Way | None, seen: HostEvidence) -> Row:
    return Row(way.name, way.looked_for, way.found(seen), _outcome(way, winner, seen))


def _outcome(way: Way, winner: Way | None, seen: HostEvidence) -> str:
    if way is winner:
        return "taken"
    if not way.fits(seen):
        return "does not fit"
    if not _is_built_in(way, seen):
        return "fits, but is not in this version"
    return f"fits, but {winner.name} comes first" if winner else "fits, but nothing is taken"
