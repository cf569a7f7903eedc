"""Adds to a rehearsal whether guests' requests reach the daemon: this host asks its own listeners as a guest would."""

from __future__ import annotations

from pathlib import Path

from fencebus_host.config.load import find, load
from fencebus_host.control import ask_daemon, read_parts, socket_path
from fencebus_host.ctl.doctor.daemon_checks import Running
from fencebus_host.ctl.doctor.findings import Level
from fencebus_host.ctl.doctor.round_trip import check_round_trips
from fencebus_schemas.status import Rehearsal, Step


def with_ways(found: Rehearsal, file: Path | None) -> Rehearsal:
    """The rehearsal with a step for each way that could be tried, before the others.  Raises ConfigError, NoDaemon."""
    config = load(find(file))
    running = Running(read_parts(ask_daemon(socket_path(config.daemon.state_dir), "status", {"most": 0})))
    ways = tuple(
        Step("way", finding.level is not Level.ERROR, finding.text) for finding in check_round_trips(config, running)
    )
    works = found.ok and all(step.ok for step in ways)
    return Rehearsal(found.version, found.action, found.target, works, (*ways, *found.steps))
