"""Keeps on disk what this host knows of the others, and what was done here for whose request.

One sqlite file in the state folder, written by one thread.  What is asked for while a transaction is being written goes
into the next one together.  A record is kept or it is not: a disk that is full is told to whoever wanted it kept.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fencebus_agent.worker_threads import WorkerThreads
from fencebus_host import picture_tables
from fencebus_host.effects import Deed, HostPicture, Kept, VmChanged
from fencebus_host.fencing import RecordError
from fencebus_host.holdings import NO_GENERATION
from fencebus_host.picture_tables import SCHEMA, SCHEMA_VERSION, Memory
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId

log = logging.getLogger(__name__)

DiskErrors = (sqlite3.Error, OSError)
"""May be over as soon as there is room again."""
Refused = (*DiskErrors, WireError, UnicodeError)
"""Why a record cannot be kept."""
Told = asyncio.Future[bool]
"""Whether a record is kept."""
PRUNED_AFTER = 100
"""Deeds that are written before it is looked for those that are too old or too many."""
COMPANY_SECONDS = 0.05
"""For so long a change of a VM waits for whatever else is to be written: a deed that comes behind it, for which a fence
waits (S4), would else find the disk busy with it.  A host that loses it hears of it again, as of one it never heard."""


class Picture:
    """The state folder's memory of the federation."""

    def __init__(self, folder: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "picture.sqlite"
        self._wall_clock = wall_clock
        self._thread: WorkerThreads | None = None
        self._database: sqlite3.Connection | None = None
        self._waiting: list[tuple[Kept, Told]] = []
        self._writing: asyncio.Future[list[bool]] | None = None
        self._company: asyncio.TimerHandle | None = None
        """Runs out when what waits has waited long enough."""
        self._pressing = False
        """Something waits that is to be written at once, with all that came before it."""
        self._unpruned = PRUNED_AFTER
        """Deeds since it was last looked for those that are too old."""
        self._owed: dict[Kept, None] = {}
        """Records about members that could not be written: nobody will say them again."""
        self._torn: set[HostId] = set()
        """Hosts of which a record could not be written: what is kept of them hangs together no more."""

    async def open(self) -> Memory:
        """Open or make the database, and return what it holds.

        Raises RecordError if it cannot be made, read or believed; then nothing is overwritten.
        """
        self._thread = WorkerThreads("picture", limit=1)
        try:
            return await self._thread.submit(self._open)
        except Refused as error:
            raise RecordError(f"{self._path}: {error}") from error

    async def keep(self, record: Kept) -> bool:
        """True once ``record`` is on the disk, false if it cannot be.  They are written in the order of the calls."""
        loop = asyncio.get_running_loop()
        told: Told = loop.create_future()
        self._waiting.append((record, told))
        if not isinstance(record, VmChanged):
            self._write_waiting()
        elif self._writing is None and self._company is None:
            self._company = loop.call_later(COMPANY_SECONDS, self._write_waiting)
        return await told

    async def close(self) -> None:
        """Write what is left and close; idempotent."""
        self._write_waiting()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        if self._database is not None and self._thread is not None:
            await self._thread.submit(self._database.close)
            self._database = None
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def _write_waiting(self) -> None:
        """Begin at once, as a fence may wait for it; while the disk is busy, as soon as it no longer is."""
        if self._company is not None:
            self._company.cancel()
            self._company = None
        self._pressing = self._writing is not None
        if self._pressing or not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        if self._thread is None:
            _tell(batch, [False] * len(batch))
            return
        self._writing = self._thread.submit(partial(self._write, [record for record, _ in batch]))
        self._writing.add_done_callback(partial(self._written, batch))

    def _written(self, batch: Sequence[tuple[Kept, Told]], writing: asyncio.Future[list[bool]]) -> None:
        self._writing = None
        if (
            error := writing.exception()
        ) is not None:  # whoever waits for the disk must hear that it did not come about
            log.error("not kept in %s: %d records", self._path, len(batch), exc_info=error)
        _tell(batch, [False] * len(batch) if error is not None else writing.result())
        if self._pressing:
            self._write_waiting()
        elif self._waiting:
            self._company = asyncio.get_running_loop().call_later(COMPANY_SECONDS, self._write_waiting)

    # -- in the thread ----------

    def _open(self) -> Memory:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            memory = self._opened(database)
        except Refused:
            database.close()
            raise
        self._database = database
        return memory

    def _opened(self, database: sqlite3.Connection) -> Memory:
        [(version,)] = database.execute("PRAGMA user_version")
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"written by a later version of fencebus ({version})")
        [(verdict,), *_] = database.execute("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"damaged: {verdict}")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
        return picture_tables.read(database)

    def _write(self, records: Sequence[Kept]) -> list[bool]:
        """All in one transaction; if that fails, each in its own, so that no small record falls with a large one."""
        try:
            self._commit(records)
            results = [True] * len(records)
        except Refused:
            results = [self._write_alone(record) for record in records]
        if self._owed and any(results):
            self._write_owed()
        return results

    def _write_alone(self, record: Kept) -> bool:
        try:
            self._commit([record])
        except Refused as error:
            log.warning("not kept in %s: %s: %s", self._path, type(record).__name__, error)
            if isinstance(record, (HostPicture, VmChanged)):
                self._torn.add(record.host)
            elif not isinstance(record, Deed) and isinstance(error, DiskErrors):
                self._owed[record] = None
            return False
        return True

    def _write_owed(self) -> None:
        try:
            self._commit(list(self._owed))
        except DiskErrors as error:
            log.warning("%d members not yet kept in %s: %s", len(self._owed), self._path, error)
        else:
            self._owed.clear()

    def _commit(self, records: Sequence[Kept]) -> None:
        """All of them or none, and synced."""
        database = self._database
        if database is None:
            raise sqlite3.ProgrammingError("the picture is closed")
        mended = {record.host for record in records if isinstance(record, HostPicture)}
        self._unpruned += sum(isinstance(record, Deed) for record in records)
        is_due = self._unpruned >= PRUNED_AFTER
        with database:
            if len(records) > 1 or not isinstance(records[0], Deed) or is_due:
                # One deed alone is one statement, and so a transaction of its own: a fence waits for it, and each call
                # into sqlite gives the interpreter away.
                database.execute("BEGIN IMMEDIATE")
            unmended = set(self._torn)
            for record in records:
                if isinstance(record, HostPicture):
                    unmended.discard(record.host)
                is_torn = isinstance(record, VmChanged) and record.host in unmended
                picture_tables.write(database, _unfinished(record) if is_torn else record, self._wall_clock())
            if is_due:
                picture_tables.prune(database, self._wall_clock())
        self._torn -= mended
        self._unpruned = 0 if is_due else self._unpruned


def _tell(batch: Sequence[tuple[Kept, Told]], results: Sequence[bool]) -> None:
    for (_, told), result in zip(batch, results, strict=True):
        if not told.done():  # whoever asked may have gone
            told.set_result(result)


def _unfinished(record: Kept) -> Kept:
    """The change without its place in the sequence: after a restart the host is asked for all it has."""
    return replace(record, generation=NO_GENERATION) if isinstance(record, VmChanged) else record
