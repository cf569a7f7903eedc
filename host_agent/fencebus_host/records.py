"""Keeps on disk what must survive the daemon: the kills that were made, and the history of power actions.

One sqlite file in the state folder, written by one thread.  A kill is committed and synced before ``ended`` returns
(S4); the history is written behind and may lose its last lines in a power cut.  A disk that is full is an error,
never a silence.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fencebus_host.fencing import RecordError
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import FenceOutcome, FenceRequest, Observation, Uuid

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_HISTORY = 10_000
"""Finished power actions kept; older ones are dropped."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS ended (
    vm TEXT NOT NULL, hypervisor TEXT NOT NULL, name TEXT NOT NULL, life TEXT NOT NULL, proof TEXT NOT NULL, request
    TEXT NOT NULL, at REAL NOT NULL, definition TEXT NOT NULL, PRIMARY KEY (vm, hypervisor)
);
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, request TEXT NOT NULL, source TEXT NOT NULL, via TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, ok INTEGER NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, seconds
    REAL NOT NULL, observations TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A life that this host ended and proved to have ended."""

    vm: Uuid
    hypervisor: str
    name: str
    life: str
    definition: str
    """The domain's XML if it was transient, so that an ``on`` can make it anew; else empty."""


DefinitionOf = Callable[[Observation], str]
"""The definition that must outlive the daemon, for a domain that libvirt itself forgets; else an empty text."""


class Records:
    """The state folder's database."""

    def __init__(self, folder: Path, definition_of: DefinitionOf, wall_clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "records.sqlite"
        self._definition_of = definition_of
        self._wall_clock = wall_clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._database: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Open or make the database; raises RecordError if that cannot be done."""
        await self._in_thread(self._open)

    async def close(self) -> None:
        """Write what is left and close; idempotent."""
        if self._database is not None:
            await self._in_thread(self._database.close)
            self._database = None
        self._thread.shutdown()

    async def ended(self, request: FenceRequest, evidence: Evidence) -> None:
        """Write down the lives that were ended; on the disk when this returns.  Raises RecordError."""
        names = {(record.uuid, record.hypervisor): record.name for record in evidence.records}
        rows = [
            (
                seen.vm,
                seen.hypervisor,
                names.get((seen.vm, seen.hypervisor), ""),
                seen.ended.mark,
                seen.proof.value,
                request.id,
                self._wall_clock(),
                self._definition_of(seen),
            )
            for seen in evidence.observations
            if seen.ended
        ]
        await self._in_thread(lambda: self._write("REPLACE INTO ended VALUES (?,?,?,?,?,?,?,?)", rows))

    async def all_ended(self) -> Sequence[Ended]:
        """The lives that are on record as ended, for a daemon that starts."""
        query = "SELECT vm, hypervisor, name, life, definition FROM ended ORDER BY vm, hypervisor"
        rows = await self._in_thread(lambda: self._opened().execute(query).fetchall())
        return [Ended(Uuid(vm), hypervisor, name, life, definition) for vm, hypervisor, name, life, definition in rows]

    async def forget_ended(self, vm: Uuid, hypervisor: str) -> None:
        """A fresh boot of the VM was seen: the record of its former end has served."""
        await self._in_thread(lambda: self._write("DELETE FROM ended WHERE vm=? AND hypervisor=?", [(vm, hypervisor)]))

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Take down a finished power action; returns at once, a failure is logged."""
        observations = json.dumps([_plain(seen) for seen in outcome.observations])
        action = request.action.name.lower()
        row = (self._wall_clock(), request.id, request.source.text, request.via, action, request.target)
        result = (int(outcome.ok), outcome.reason.value, outcome.text, seconds, observations)
        self._thread.submit(self._note, (*row, *result))

    async def history(self, most: int = 100) -> Sequence[tuple[str, str, str, str]]:
        """The last finished power actions, newest first: (request id, action, target, reason)."""
        query = "SELECT request, action, target, reason FROM history ORDER BY number DESC LIMIT ?"
        return await self._in_thread(lambda: self._opened().execute(query, (most,)).fetchall())

    # -- in the thread ----------

    async def _in_thread(self, act: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except (sqlite3.Error, OSError) as error:
            raise RecordError(f"{self._path}: {error}") from error

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file holds domain XML, which may hold passwords.
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(SCHEMA)
        self._database = database

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the records are closed")
        return self._database

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        database = self._opened()
        with database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(statement, rows)

    def _note(self, row: tuple[object, ...]) -> None:
        try:
            self._write("INSERT INTO history VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)", [row])
            self._write("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?", [(MOST_HISTORY,)])
        except (sqlite3.Error, OSError) as error:
            log.warning("history not written: %s", error)


def _plain(seen: Observation) -> dict[str, object]:
    """An observation as the history keeps it."""
    return {
        "vm": seen.vm,
        "state": seen.state.value,
        "was": seen.was.value,
        "proof": seen.proof.value,
        "hypervisor": seen.hypervisor,
        "in_flight": seen.migration_in_flight,
        "life": seen.ended.mark if seen.ended else None,
        "detail": seen.detail,
    }
