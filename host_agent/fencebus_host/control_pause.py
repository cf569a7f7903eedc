"""Keeps whether power actions are refused for now, because an administrator wants it so.

It stands on disk: a daemon that is restarted, or crashes, while somebody works on the machines stays paused.  A pause
with an end ends by itself.  A file that cannot be read counts as a pause: what is refused is answered as a failure, so
that nothing is taken for fenced.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fencebus_host.objection import Objection
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Reason
from fencebus_schemas.status import PauseStatus
from fencebus_schemas.status_plain import from_plain, to_plain
from fencebus_schemas.status_tables import clock

log = logging.getLogger(__name__)

DRY_RUN = "nothing is carried out, and every power action fails, until fence_virtd is started without --dry-run"


class Pause:
    """The pause of one daemon."""

    def __init__(self, state_dir: Path, wall_clock: Callable[[], float] = time.time, *, dry_run: bool = False) -> None:
        """``dry_run``: a pause that nobody can lift, for as long as the daemon runs."""
        self._path, self._wall_clock = state_dir / "paused.json", wall_clock
        self._dry_run = (
            PauseStatus(wall_clock(), DRY_RUN, None, "fence_virtd --dry-run", dry_run=True) if dry_run else None
        )
        self._pause = self._read()
        if self.current:
            log.warning("%s", self._text(self.current))

    @property
    def current(self) -> PauseStatus | None:
        """The pause, if there is one now."""
        if self._dry_run:
            return self._dry_run
        if self._pause and self._pause.until is not None and self._pause.until <= self._wall_clock():
            log.warning("the pause is over: fencing goes on")
            try:
                self.end()
            except OSError as error:  # it is over all the same, also for the daemon that reads the file next
                log.warning("%s is not removed: %s", self._path, error.strerror)
        return self._pause

    @property
    def is_dry_run(self) -> bool:
        """Whether the daemon carries out nothing while it runs."""
        return self._dry_run is not None

    def objection(self) -> Objection | None:
        """What every new power action is answered."""
        pause = self.current
        return Objection(Reason.PAUSED, self._text(pause)) if pause else None

    def begin(self, why: str, seconds: float | None, by: str) -> PauseStatus:
        """Refuse from now on, for so long or until ``end``.  Raises OSError if it cannot be written down."""
        now = self._wall_clock()
        pause = PauseStatus(now, why, None if seconds is None else now + seconds, by)
        self._write(pause)
        self._pause = pause
        log.warning("%s", self._text(pause))
        return pause

    def end(self) -> PauseStatus | None:
        """Go on; returns the pause that is over, if there was one.  Raises OSError if that cannot be written down."""
        before, self._pause = self._pause, None
        self._path.unlink(missing_ok=True)
        return before

    def _text(self, pause: PauseStatus) -> str:
        if pause is self._dry_run:
            return f"DRY RUN since {clock(pause.since)}: {DRY_RUN}"
        until = f" until {clock(pause.until)}" if pause.until is not None else ""
        why = f" ({pause.why})" if pause.why else ""
        by = f" by {pause.by}" if pause.by else ""
        return f"fencing is paused since {clock(pause.since)}{until}{by}{why}: `fence_virtctl resume` ends it"

    def _read(self) -> PauseStatus | None:
        try:
            return from_plain(PauseStatus, json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, WireError) as error:
            return PauseStatus(self._wall_clock(), f"{self._path} cannot be read: {error}")

    def _write(self, pause: PauseStatus) -> None:
        """All of it or nothing, and on the disk."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(to_plain(replace(pause)), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
