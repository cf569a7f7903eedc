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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

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
COMPANY_SECONDS = 0.05
"""For so long a change of a VM waits for whatever else is to be written: a deed that comes behind it, for which a fence
waits (S4), would else find the disk busy with it.  A host that loses it hears of it again, as of one it never heard."""


class Picture:
    """The state folder's memory of the federation."""

    def __init__(self, folder: Path, wall_clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "picture.sqlite"
        self._wall_clock = wall_clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="picture")
        self._database: sqlite3.Connection | None = None
        self._waiting: list[tuple[Kept, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._pressing = asyncio.Event()
        """Something waits that is to be written at once, with all that came before it."""
        self._owed: dict[Kept, None] = {}
        """Records about members that could not be written: nobody will say them again."""
        self._torn: set[HostId] = set()
        """Hosts of which a record could not be written: what is kept of them hangs together no more."""

    async def open(self) -> Memory:
        """Open or make the database, and return what it holds.

        Raises RecordError if it cannot be made, read or believed; then nothing is overwritten.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except Refused as error:
            raise RecordError(f"{self._path}: {error}") from error

    async def keep(self, record: Kept) -> bool:
        """True once ``record`` is on the disk, false if it cannot be.  They are written in the order of the calls."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if not isinstance(record, VmChanged):
            self._pressing.set()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting(), name="picture")
        return await done

    async def close(self) -> None:
        """Write what is left and close; idempotent."""
        if self._writing is not None:
            self._pressing.set()
            await self._writing
        if self._database is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
            self._database = None
        self._thread.shutdown()

    async def _write_waiting(self) -> None:
        while self._waiting:
            await self._company()
            batch, self._waiting = self._waiting, []
            records = [record for record, _ in batch]
            try:
                results = await asyncio.get_running_loop().run_in_executor(self._thread, self._write, records)
            except Exception:  # the task's root: whoever waits for the disk must hear that it did not come about
                log.exception("not kept in %s: %d records", self._path, len(records))
                results = [False] * len(records)
            for (_, done), result in zip(batch, results, strict=True):
                if not done.done():  # whoever asked may have gone
                    done.set_result(result)

    async def _company(self) -> None:
        try:
            async with asyncio.timeout(COMPANY_SECONDS):
                await self._pressing.wait()
        except TimeoutError:
            return
        finally:
            self._pressing.clear()

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
        mended = set[HostId]()
        with database:
            database.execute("BEGIN IMMEDIATE")
            for record in records:
                if isinstance(record, HostPicture):
                    mended.add(record.host)
                is_torn = isinstance(record, VmChanged) and record.host in self._torn - mended
                picture_tables.write(database, _unfinished(record) if is_torn else record, self._wall_clock())
            if any(isinstance(record, Deed) for record in records):
                picture_tables.prune(database, self._wall_clock())
        self._torn -= mended


def _unfinished(record: Kept) -> Kept:
    """The change without its place in the sequence: after a restart the host is asked for all it has."""
    return replace(record, generation=NO_GENERATION) if isinstance(record, VmChanged) else record
