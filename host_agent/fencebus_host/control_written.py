"""Explains a power action from what the daemon has written down, for when there is no daemon to be asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fencebus_host.control_explain import explain
from fencebus_host.control_history import NoHistory, Wanted, read_course, read_history
from fencebus_schemas.status import Explanation

LEAST_ID = 4


def explain_written(state_dir: Path, about: str) -> Explanation:
    """The explanation of the power action with this id, or else of the last one on this VM.  Raises NoHistory."""
    path = state_dir / "records.sqlite"
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            found = read_history(database, Wanted(request=about, most=2)) if len(about) >= LEAST_ID else ()
            found = found or read_history(database, Wanted(vm=about, most=1))
            if len({each.id for each in found}) != 1:
                raise NoHistory(path, f"{len(found)} power actions fit {about!r}")
            return explain(found[0], read_course(database, found[0].id))
        finally:
            database.close()
    except sqlite3.Error as error:
        raise NoHistory(path, str(error)) from None
