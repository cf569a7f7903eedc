"""Keeps on disk what must survive the daemon: kills, what drivers must remember, the history of power actions.

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
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fencebus_agent.lives import PastLives
from fencebus_agent.roster import EndedDomain, Remembered
from fencebus_host.behind import Behind, Make, Named, Statement
from fencebus_host.control_course import Course, course_of
from fencebus_host.control_history import Wanted, read_course, read_history
from fencebus_host.fencing import RecordError
from fencebus_host.replay import KEPT_SECONDS, MOST_KEPT
from fencebus_host.verdict import Evidence
from fencebus_schemas.digest import DIGEST_LENGTH
from fencebus_schemas.model import LEFT_UNMARKED, FenceOutcome, FenceRequest, HostId, Observation, Uuid
from fencebus_schemas.status import FinishedFence
from fencebus_schemas.status_plain import to_plain

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_COURSES = 1000
MOST_HISTORY = 10_000
"""Finished power actions kept; older ones are dropped."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS kill (
    vm TEXT NOT NULL, hypervisor TEXT NOT NULL, life TEXT NOT NULL, proof TEXT NOT NULL,
    request TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (vm, hypervisor)
);
CREATE TABLE IF NOT EXISTS ended (
    hypervisor TEXT NOT NULL, vm TEXT NOT NULL, name TEXT NOT NULL, xml TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (hypervisor, vm)
);
CREATE TABLE IF NOT EXISTS departed (
    hypervisor TEXT NOT NULL, vm TEXT NOT NULL, PRIMARY KEY (hypervisor, vm)
);
CREATE TABLE IF NOT EXISTS lingering (
    hypervisor TEXT NOT NULL, vm TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (hypervisor, vm)
);
CREATE TABLE IF NOT EXISTS signature (signature BLOB PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, request TEXT NOT NULL, source TEXT NOT NULL, via TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, ok INTEGER NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL,
    seconds REAL NOT NULL, observations TEXT NOT NULL, vm TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '', asker TEXT NOT NULL DEFAULT ''
);
"""

LATER_COLUMNS = ("vm", "name", "evidence", "asker")
"""Of the history, in the order in which they came: a file of before has not got them."""

LIVES = f"""
BEGIN IMMEDIATE;
CREATE TABLE lives (
    hypervisor TEXT NOT NULL, vm TEXT NOT NULL, ended TEXT NOT NULL, "left" TEXT NOT NULL, PRIMARY KEY (hypervisor, vm)
);
INSERT INTO lives SELECT hypervisor, vm, '[]', '["{LEFT_UNMARKED}"]' FROM departed;
COMMIT;
"""
"""In a file of before lives had marks: what has departed by then left, and nobody can say which life it was."""

PRUNED_AFTER = 4096
"""So many signatures are written down before those that count no more are looked for."""
PRUNE_SIGNATURES = """
DELETE FROM signature WHERE at < ? OR at <= (SELECT at FROM signature ORDER BY at DESC LIMIT 1 OFFSET ?)
"""

Memory = Callable[[], Remembered]
"""What one hypervisor's driver has to remember across a restart of the daemon."""


class Records:
    """The state folder's database."""

    def __init__(
        self,
        folder: Path,
        memories: Mapping[str, Memory],
        wall_clock: Callable[[], float] = time.time,
        host: HostId | None = None,
    ) -> None:
        """``memories`` by the name of their hypervisor; ``host`` is this one, where others may have seen an end."""
        self._path = folder / "records.sqlite"
        self._memories, self._host = memories, host
        self._kept: dict[str, Remembered] = {}
        """As it is on the disk; belongs to the thread."""
        self._courses: dict[str, Course] = {}
        self._signatures = deque[tuple[bytes, float]](maxlen=MOST_KEPT)
        """Not on the disk yet."""
        self._unpruned = PRUNED_AFTER
        self._behind = Behind(self._write_behind)
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
        """Write down the lives that were ended, and what the drivers remember since; on the disk when this returns.

        S4 is about the owner's disk: what other hosts have ended is on theirs before they answer, so that nobody waits
        for its copy here.  Raises RecordError.
        """
        seen = evidence.observations
        own = [one for one in seen if self._host in (None, one.host)]
        kills = [(*_kill(one), request.id, self._wall_clock()) for one in seen if one.ended]
        if not own:
            self._put_behind("kill", lambda: [("REPLACE INTO kill VALUES (?,?,?,?,?,?)", kills)])
            return
        memories = {one.hypervisor: self._memories[one.hypervisor]() for one in own if one.hypervisor in self._memories}
        statements: list[Statement] = [("REPLACE INTO kill VALUES (?,?,?,?,?,?)", kills)] if kills else []
        await self._in_thread(lambda: self._write_changes(memories, statements))

    async def keep(self, hypervisor: str) -> None:
        """Write down what this hypervisor's driver remembers, if that has changed.  Raises RecordError."""
        memories = {hypervisor: self._memories[hypervisor]()}
        await self._in_thread(lambda: self._write_changes(memories, []))

    async def remembered(self, hypervisor: str) -> Remembered:
        """What this hypervisor's driver remembered when the daemon last ran.  Raises RecordError."""
        return await self._in_thread(lambda: self._read_memory(hypervisor))

    async def kills(self) -> Sequence[tuple[str, str, str]]:
        """The last kill of each VM: (UUID, life, request id).  Raises RecordError."""
        query = "SELECT vm, life, request FROM kill ORDER BY at"
        return await self._in_thread(lambda: self._opened().execute(query).fetchall())

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Take down a finished power action; returns at once, a failure is logged."""
        course, at = self._courses.pop(request.id, None), self._wall_clock()
        self._put_behind("history", lambda: _history(request, outcome, seconds, course, at))
        self._behind.catch_up()

    def saw(self, request: FenceRequest, end: Evidence, start: Evidence | None, at_the_door: bool) -> None:
        """What the verdict on a power action is drawn from: goes into the history with it."""
        self._courses[request.id] = course_of(request, end, start, at_the_door)
        while len(self._courses) > MOST_COURSES:  # of requests whose requester is gone and that nobody notes
            del self._courses[next(iter(self._courses))]

    def keep_signature(self, signature: bytes) -> None:
        """Take down that a signed power action was seen; returns at once, a failure is logged.

        All that wait for the disk go there together: a kill does not wait behind a guest's flood of requests.
        """
        self._signatures.append((signature.rstrip(b"\0"), self._wall_clock()))
        if len(self._signatures) == 1:
            self._put_behind("signature", self._signatures_so_far)
            self._behind.catch_up()  # before what it asks for is done: a daemon that is killed may be asked again

    async def signatures(self) -> Sequence[bytes]:
        """The signatures that earlier runs of the daemon saw and that still count.  Raises RecordError."""
        oldest = self._wall_clock() - KEPT_SECONDS
        await self._in_thread(lambda: self._write([("DELETE FROM signature WHERE at < ?", [(oldest,)])]))
        query = "SELECT signature FROM signature ORDER BY at"
        rows = await self._in_thread(lambda: self._opened().execute(query).fetchall())
        return [bytes(signature).ljust(DIGEST_LENGTH, b"\0") for (signature,) in rows]

    async def finished(self, wanted: Wanted) -> tuple[FinishedFence, ...]:
        """The finished power actions that are wanted, newest first.  Raises RecordError."""
        return await self._in_thread(lambda: read_history(self._opened(), wanted))

    async def course(self, request: str) -> Course | None:
        """What the verdict on a finished power action was drawn from, as far as it was kept.  Raises RecordError."""
        return await self._in_thread(lambda: read_course(self._opened(), request))

    async def history(self, most: int = 100) -> Sequence[tuple[str, str, str, str]]:
        """The last finished power actions, newest first: (request id, action, target, reason)."""
        query = "SELECT request, action, target, reason FROM history ORDER BY number DESC LIMIT ?"
        return await self._in_thread(lambda: self._opened().execute(query, (most,)).fetchall())

    # -- in the thread ----------

    async def _in_thread(self, act: Callable[[], T]) -> T:
        self._behind.catch_up()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except (sqlite3.Error, OSError) as error:
            raise RecordError(f"{self._path}: {error}") from error

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file holds domain XML, which may hold passwords.
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            database.executescript(SCHEMA)
            if ("lives",) not in database.execute("SELECT name FROM sqlite_master").fetchall():
                database.executescript(LIVES)
            _add_columns(database)
        except sqlite3.Error:
            database.close()
            raise
        self._database = database

    def _read_memory(self, hypervisor: str) -> Remembered:
        domains = self._rows("SELECT vm, name, xml, at FROM ended WHERE hypervisor=?", hypervisor)
        left = self._rows("SELECT vm FROM departed WHERE hypervisor=?", hypervisor)
        lasting = self._rows("SELECT vm, why FROM lingering WHERE hypervisor=?", hypervisor)
        lives = self._rows('SELECT vm, ended, "left" FROM lives WHERE hypervisor=?', hypervisor)
        memory = self._kept[hypervisor] = Remembered(
            tuple(EndedDomain(Uuid(vm), name, xml, at) for vm, name, xml, at in domains),
            frozenset(Uuid(vm) for (vm,) in left),
            tuple((Uuid(vm), why) for vm, why in lasting),
            {Uuid(vm): PastLives(_marks(ended), _marks(gone)) for vm, ended, gone in lives},
        )
        return memory

    def _rows(self, query: str, hypervisor: str) -> Sequence[tuple[Any, ...]]:
        return self._opened().execute(query, (hypervisor,)).fetchall()

    def _write_changes(self, memories: Mapping[str, Remembered], more: Sequence[Statement]) -> None:
        """What is new in these memories, and ``more``.  What is new is found out here, one after the other: seen from
        the loop, what still waits for the disk would not be there yet, and what takes it back would be left out.
        """
        changed = {name: memory for name, memory in memories.items() if self._kept.get(name) != memory}
        statements = [*more, *(one for name, memory in changed.items() for one in self._replaced(name, memory))]
        if statements:
            self._write(statements)
        self._kept.update(changed)

    def _signatures_so_far(self) -> list[Statement]:
        rows = []
        while self._signatures:  # until none is left: only the first of those that wait has called us
            rows.append(self._signatures.popleft())
        self._unpruned += len(rows)
        statements: list[Statement] = [("INSERT OR IGNORE INTO signature VALUES (?,?)", rows)]
        if self._unpruned >= PRUNED_AFTER:
            self._unpruned = 0
            statements.append((PRUNE_SIGNATURES, [(self._wall_clock() - KEPT_SECONDS, MOST_KEPT)]))
        return statements

    def _replaced(self, hypervisor: str, memory: Remembered) -> list[Statement]:
        """The statements that put one driver's memory in the place of what was kept of it."""
        kept = self._kept.get(hypervisor)
        statements = _replaced(hypervisor, memory) if kept is None or _but_lives(kept) != _but_lives(memory) else []
        return statements + _lives_replaced(hypervisor, kept, memory)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the records are closed")
        return self._database

    def _write(self, statements: Sequence[Statement]) -> None:
        """All of them or none, and synced."""
        database = self._opened()
        with database:
            database.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                database.executemany(statement, rows)

    def _put_behind(self, what: str, make: Make) -> None:
        """The answer to a guest does not wait for what is written down of it."""
        if self._database is None:  # the daemon stops, and an action has outlasted its patience with it
            log.warning("%s not written: the records are closed", what)
        else:
            self._behind.put(what, make)

    def _write_behind(self, make: Callable[[], Sequence[Named]]) -> None:
        self._thread.submit(lambda: self._write_unsynced(make()))

    def _write_unsynced(self, named: Sequence[Named]) -> None:
        """Survives the daemon's death but not a power cut, and so keeps no kill waiting for the disk."""
        try:
            self._opened().execute("PRAGMA synchronous=NORMAL")
            try:
                self._write_together(named)
            finally:
                self._opened().execute("PRAGMA synchronous=FULL")
        except (sqlite3.Error, OSError) as error:
            log.warning("%s not written: %s", ", ".join(what for what, _ in named), error)

    def _write_together(self, named: Sequence[Named]) -> None:
        """In one transaction; if that fails each in its own, so that nothing small falls with something large."""
        try:
            self._write([one for _, statements in named for one in statements])
        except (sqlite3.Error, OSError):
            for what, statements in named:
                try:
                    self._write(statements)
                except (sqlite3.Error, OSError) as error:
                    log.warning("%s not written: %s", what, error)


def _history(
    request: FenceRequest, outcome: FenceOutcome, seconds: float, course: Course | None, at: float
) -> list[Statement]:
    """The statements that take down a finished power action, with what its verdict was drawn from."""
    observations = json.dumps([_plain(seen) for seen in outcome.observations])
    asked = (at, request.id, request.source.text, request.via, request.action.name.lower(), request.target)
    result = (int(outcome.ok), outcome.reason.value, outcome.text, seconds, observations)
    vm, name = next(((one.uuid, one.name) for one in course.end.records), ("", "")) if course else ("", "")
    row = (*asked, *result, vm, name, json.dumps(to_plain(course)) if course else "", request.by)
    return [
        ("INSERT INTO history VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [row]),
        ("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?", [(MOST_HISTORY,)]),
    ]


def _add_columns(database: sqlite3.Connection) -> None:
    there = {row[1] for row in database.execute("PRAGMA table_info(history)")}
    for column in LATER_COLUMNS:
        if column not in there:
            database.execute(f"ALTER TABLE history ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")


def _kill(seen: Observation) -> tuple[str, str, str, str]:
    life = seen.ended.mark if seen.ended else ""
    return seen.vm, seen.hypervisor, life, seen.proof.value


def _replaced(hypervisor: str, memory: Remembered) -> list[Statement]:
    """The statements that put one driver's memory in the place of what was kept of it."""
    return [
        ("DELETE FROM ended WHERE hypervisor=?", [(hypervisor,)]),
        ("DELETE FROM departed WHERE hypervisor=?", [(hypervisor,)]),
        ("DELETE FROM lingering WHERE hypervisor=?", [(hypervisor,)]),
        ("INSERT INTO lingering VALUES (?,?,?)", [(hypervisor, vm, why) for vm, why in memory.lingering]),
        ("INSERT INTO ended VALUES (?,?,?,?,?)", [(hypervisor, d.uuid, d.name, d.xml, d.at) for d in memory.ended]),
        ("INSERT INTO departed VALUES (?,?)", [(hypervisor, vm) for vm in sorted(memory.left)]),
    ]


def _but_lives(memory: Remembered) -> Remembered:
    return replace(memory, lives={})


def _lives_replaced(hypervisor: str, kept: Remembered | None, memory: Remembered) -> list[Statement]:
    """Only of VMs of which something has changed: most lives stay as they were from one kill to the next."""
    before = kept.lives if kept is not None else {}
    gone = [(hypervisor, vm) for vm in before if vm not in memory.lives]
    changed = [(vm, past) for vm, past in memory.lives.items() if before.get(vm) != past]
    rows = [(hypervisor, vm, json.dumps(past.ended), json.dumps(past.left)) for vm, past in changed]
    return [
        ("DELETE FROM lives WHERE hypervisor=? AND vm=?", gone),
        ("REPLACE INTO lives VALUES (?,?,?,?)", rows),
    ]


def _marks(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _plain(seen: Observation) -> dict[str, object]:
    """An observation as the history keeps it."""
    return {
        "vm": seen.vm,
        "state": seen.state.value,
        "was": seen.was.value,
        "proof": seen.proof.value,
        "host": seen.host,
        "hypervisor": seen.hypervisor,
        "in_flight": seen.migration_in_flight,
        "life": seen.ended.mark if seen.ended else None,
        "detail": seen.detail,
    }
