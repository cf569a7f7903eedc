"""Keeps on disk when this daemon last tried to switch off which host, so that a restart forgets no restraint.

Times are CLOCK_BOOTTIME, and so of one boot: what an earlier boot did counts as done when this one began.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fencebus_schemas.model import HostId

FILE_NAME = "host-fencing.json"


class Attempts:
    """The last attempt on each host."""

    def __init__(self, folder: Path, boot_id: str) -> None:
        """Reads what is there; one that cannot be read counts as an attempt on ``*`` when this boot began."""
        self._path, self._boot_id = folder / FILE_NAME, boot_id
        self._at = self._read()

    @property
    def last(self) -> Mapping[HostId, float]:
        """By host."""
        return dict(self._at)

    def note(self, host: HostId, now: float) -> None:
        """Before the attempt.  Raises OSError if it cannot be written, and then nothing may be done."""
        after = {**self._at, host: now}
        made = self._path.with_suffix(".new")
        with made.open("w", encoding="utf-8") as file:
            json.dump({"boot": self._boot_id, "hosts": after}, file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(self._path)
        self._at = after

    def _read(self) -> dict[HostId, float]:
        try:
            held = json.loads(self._path.read_text("utf-8"))
            hosts = {HostId(str(host)): float(at) for host, at in held["hosts"].items()}
            return hosts if held["boot"] == self._boot_id else dict.fromkeys(hosts, 0.0)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {HostId("*"): 0.0}
