"""Converts the history on disk to finished power actions as people and programs read them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.control_course import Course
from fencebus_schemas.errors import FencebusError, WireError
from fencebus_schemas.status import FinishedFence, SeenStatus
from fencebus_schemas.status_plain import from_plain

COLUMNS = "request, at, action, target, source, via, ok, reason, text, seconds, observations, asker"
MOST = 10_000


class NoHistory(FencebusError):
    """The history cannot be read.  ``path`` is its file, ``detail`` says what happened."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"the history in {self.path} cannot be read: {self.detail}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which power actions."""

    request: str = ""
    """Its id, or the beginning of it."""
    vm: str = ""
    """As the guest named it, or its UUID."""
    since: float | None = None
    """Answered at this time of the Unix clock, or later."""
    failed: bool = False
    """Only those that failed."""
    most: int = 20


def read_history(database: sqlite3.Connection, wanted: Wanted) -> tuple[FinishedFence, ...]:
    """Newest first."""
    where, values = _conditions(wanted)
    query = f"SELECT {COLUMNS} FROM history {where} ORDER BY number DESC LIMIT ?"
    return tuple(_finished(row) for row in database.execute(query, (*values, min(wanted.most, MOST))))


def read_course(database: sqlite3.Connection, request: str) -> Course | None:
    """What a verdict was drawn from; ``None`` if that was not kept, or cannot be read any more."""
    query = "SELECT evidence FROM history WHERE request = ? ORDER BY number DESC LIMIT 1"
    row = database.execute(query, (request,)).fetchone()
    try:
        return from_plain(Course, json.loads(row[0])) if row and row[0] else None
    except (ValueError, WireError):
        return None


def read_file(state_dir: Path, wanted: Wanted) -> tuple[FinishedFence, ...]:
    """From the disk, for when there is no daemon to be asked.  Raises NoHistory."""
    path = state_dir / "records.sqlite"
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return read_history(database, wanted)
        finally:
            database.close()
    except (sqlite3.Error, OSError) as error:
        raise NoHistory(path, str(error)) from None


def _conditions(wanted: Wanted) -> tuple[str, list[object]]:
    found: list[tuple[str, list[object]]] = []
    if wanted.request:
        found.append(("substr(request, 1, ?) = ?", [len(wanted.request), wanted.request]))
    if wanted.vm:
        found.append(("(lower(target) = lower(?) OR vm = lower(?) OR name = ?)", [wanted.vm] * 3))
    if wanted.since is not None:
        found.append(("at >= ?", [wanted.since]))
    if wanted.failed:
        found.append(("ok = 0", []))
    clauses = " AND ".join(clause for clause, _ in found)
    return (f"WHERE {clauses}" if found else ""), [value for _, values in found for value in values]


def _finished(row: tuple[str, float, str, str, str, str, int, str, str, float, str, str]) -> FinishedFence:
    request, at, action, target, source, via, ok, reason, text, seconds, observations, by = row
    seen = tuple(_seen(each) for each in json.loads(observations))
    return FinishedFence(request, at, action, target, source, via, bool(ok), reason, text, seconds, seen, by)


def _seen(plain: Mapping[str, str | bool | None]) -> SeenStatus:
    life = plain.get("life")
    return SeenStatus(
        vm=str(plain["vm"]),
        state=str(plain["state"]),
        was=str(plain["was"]),
        proof=str(plain["proof"]),
        host=str(plain.get("host") or ""),
        hypervisor=str(plain.get("hypervisor") or ""),
        in_flight=bool(plain.get("in_flight")),
        life=str(life) if life is not None else None,
        detail=str(plain.get("detail") or ""),
    )
