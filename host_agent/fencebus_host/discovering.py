"""Looks, has discovery decide, and keeps the choice: what stands between the configuration and the daemon's parts."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fencebus_host.config.backend_section import opened
from fencebus_host.config.cluster_section import discovered
from fencebus_host.config.discovery import Course, Decision, HostEvidence, decide, why_forbidden
from fencebus_host.config.host_look import CHOICE_FILE, look, look_for_vdsm
from fencebus_host.config.kills_here import kills_here
from fencebus_host.config.model import BackendSettings, Config, LibvirtSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import ConfigError, Problem, Problems, Where
from fencebus_host.routers.table import TABLE
from fencebus_host.state_folder import DEFAULT_CONFIG

log = logging.getLogger(__name__)

LOOK_AGAIN = 2.0
"""Seconds between two looks while the host is not ready."""


def settle(config: Config, root: Path = Path("/")) -> tuple[Config, Decision | None]:
    """The configuration with the router that is taken, and the decision; ``None`` for one that somebody chose.

    With a decision to wait the configuration is as it was.  Raises ConfigError where nothing may start.
    """
    if config.backend.where is not None:
        return _allowed(config, look_for_vdsm(root)), None
    seen = _seen(config, root)
    decision = decide(seen)
    if decision.course is Course.REFUSE:
        raise _error(
            "discovery", decision.text, Where(str(config.file or DEFAULT_CONFIG)), _way_out(config, seen, decision)
        )
    if decision.course is Course.WAIT:
        return config, decision
    return dataclasses.replace(config, backend=_settings(config, decision.kind)), decision


def settle_patiently(config: Config, tell: Callable[[str], None], root: Path = Path("/")) -> Config:
    """As ``settle``, but wait for a host that is not ready, and keep the choice.  ``tell`` hears, again and again,
    what is waited for.
    """
    told = ""
    while True:
        found, decision = settle(config, root)
        if decision is None:
            return found
        if decision.course is Course.TAKE:
            log.info("discovery: %s", decision.text)
            keep(config.daemon.state_dir, decision.router)
            return found
        if decision.text != told:
            log.warning("discovery: %s", decision.text)
        told = decision.text
        tell(decision.text)
        time.sleep(LOOK_AGAIN)


def keep(state_dir: Path, router: str) -> None:
    """Write down the choice, so that a later start does not fall below it unasked.  Raises ConfigError."""
    path = state_dir / CHOICE_FILE
    new = path.with_suffix(".new")
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{router}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise _error("state", f"the router that was taken cannot be written down: {error}", Where(str(path))) from error


def kept(new: Config, running: Config) -> Config:
    """A configuration that was read again, with the router that was discovered at the start; its keys are read anew.

    Raises ConfigError if they cannot be.
    """
    if new.backend.where is not None or running.backend.where is not None:
        return new
    kind = running.backend.kind
    is_there = any(one.kind == kind for one in new.candidates)
    return dataclasses.replace(new, backend=_settings(new, kind) if is_there else running.backend)


def explanation(config: Config, root: Path = Path("/")) -> tuple[str, int]:
    """The table for people, and an exit status: 0 if a router is taken."""
    seen = _seen(config, root)
    decision = decide(seen)
    rows = [("router", "looked for", "found", "outcome")]
    chosen = ", ".join(_kinds(config.backend)) if config.backend.where else ""
    taken = "would be taken" if chosen else "taken"
    rows += [(row.router, row.looked_for, row.found, row.outcome.replace("taken", taken)) for row in decision.rows]
    if chosen:
        forbidden = why_forbidden(_kinds(config.backend), kills_here(config.backend), seen)
        last = f"The configuration chooses {chosen} ({config.backend.where}); nothing is discovered."
        return _table(rows) + f"{last}\n" + (f"It is refused: {forbidden}\n" if forbidden else ""), int(bool(forbidden))
    way_out = _way_out(config, seen, decision) if decision.course is Course.REFUSE else ""
    last = f"{decision.course.value}: {decision.text}" + (f" ({way_out})" if way_out else "")
    return f"{_table(rows)}{last}\n", 0 if decision.course is Course.TAKE else 1


def _seen(config: Config, root: Path) -> HostEvidence:
    seen = look(config, TABLE, root)
    if not seen.corosync_runs or root != Path("/"):
        return seen
    from fencebus_host.routers.checkpoint import reach  # only a host that has corosync needs its libraries

    return dataclasses.replace(seen, corosync_trouble=reach.look().trouble)


def _allowed(config: Config, seen: HostEvidence) -> Config:
    forbidden = why_forbidden(_kinds(config.backend), kills_here(config.backend), seen)
    if forbidden:
        raise _error("vdsm", forbidden, config.backend.where or Where(""))
    return config


def _kinds(backend: BackendSettings) -> list[str]:
    return [part.kind for part in parts_of(backend)]


def _settings(config: Config, kind: str) -> BackendSettings:
    """The settings of a candidate, with its files read; of libvirt those that every configuration has."""
    found = next((one for one in config.candidates if one.kind == kind), config.backend)
    if kind == "checkpoint" and isinstance(found, LibvirtSettings):
        found = discovered(found)
    problems = Problems()
    settings = opened(found, config.listeners, problems)
    if problems.has_errors:
        raise ConfigError(problems.in_order())
    return settings


def _way_out(config: Config, seen: HostEvidence, decision: Decision) -> str:
    if seen.vdsm or not seen.remembered:
        return ""
    file = config.daemon.state_dir / CHOICE_FILE
    return f'if that is meant, delete {file}, or choose with backend = "..."'


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = list(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    return "".join("  ".join([*map(str.ljust, line, widths), line[-1]]) + "\n" for line in lines)


def _error(code: str, text: str, where: Where, hint: str = "") -> ConfigError:
    return ConfigError([Problem(code, text, where, hint)])
