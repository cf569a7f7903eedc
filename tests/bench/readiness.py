"""Waits until a daemon answers, by asking it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.bench.grounds import VMS
from tests.bench.load import Aim, ask_once
from tests.bench.rivals import Daemon
from tests.server_process import NotReadyError

LONGEST = 20.0
PAUSE = 0.002


def aim_at(daemon: Daemon, vm: str = "") -> Aim:
    """The load generator's aim at this daemon; without a name, at the VM that it fences."""
    return Aim(daemon.transport, daemon.port, daemon.ground.key, vm or VMS[daemon.rival])


def wait_for(daemon: Daemon) -> None:
    """Return once it has answered a status; raises NotReadyError."""
    until = time.monotonic() + LONGEST
    aim = aim_at(daemon)
    while not ask_once(aim).waits:
        if time.monotonic() > until or not daemon.process.running:
            raise NotReadyError(f"{daemon.rival.value} does not answer:\n{daemon.process.output[-2000:]}")
        time.sleep(PAUSE)


def settle(daemons: Iterable[Daemon]) -> None:
    """Return once each answers: what was measured before may have left connections in a queue."""
    for daemon in daemons:
        wait_for(daemon)
