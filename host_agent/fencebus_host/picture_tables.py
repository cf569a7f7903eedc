"""Converts what is to be kept into rows of the picture's database, and the rows into what the daemon remembers.

What hosts said is kept as the codec's own JSON, so that any name that can be told can be kept.  What was done is never
thrown together: each deed has a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fencebus_host.catalogue import is_owners_word
from fencebus_host.effects import Deed, HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.ownership import Past
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord
from fencebus_schemas.peer import Confirmed, Forgotten
from fencebus_schemas.peer_fields import (
    CONFIRMED,
    FLAG,
    ID,
    INCARNATION,
    NOBODY,
    OBSERVATION,
    REASON,
    REMARK,
    VM_RECORD,
)
from fencebus_schemas.strict_json import Kind, Maybe, Shape, dump, load

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS member (host TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (
    host TEXT PRIMARY KEY, version INTEGER NOT NULL, member INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confirmed (host TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS host (
    host TEXT PRIMARY KEY, incarnation TEXT NOT NULL, generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vm (
    host TEXT NOT NULL, vm TEXT NOT NULL, hypervisor TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (host, vm, hypervisor)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owner (vm TEXT PRIMARY KEY, host TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deed (number INTEGER PRIMARY KEY, at REAL NOT NULL, deed TEXT NOT NULL);
"""
DEED_SECONDS = 24 * 3600.0
"""For so long a deed can be attested."""
SURE_DEEDS = 1_000
"""So many of the last are kept whatever the wall clock says: it may have jumped by years since (S4)."""
MOST_DEEDS = 10_000

DEED = Shape(
    Deed,
    {
        "identity": ID,
        "request": ID,
        "observation": Maybe(OBSERVATION),
        "refusal": Maybe(REASON),
        "text": REMARK,
        "boot": FLAG,
    },
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the disk held when the daemon started."""

    past: Past
    deeds: tuple[Deed, ...]
    """In the order in which they were done."""


def write(database: sqlite3.Connection, record: Kept, wall_now: float) -> None:
    """Write one record, inside a transaction.  Raises sqlite3.Error, or WireError for what no message could hold."""
    if isinstance(record, MemberSeen):
        database.execute("INSERT OR IGNORE INTO member VALUES (?)", (record.host,))
    elif isinstance(record, Forgotten):
        _write_forgotten(database, record)
    elif isinstance(record, HostPicture):
        _write_picture(database, record)
    elif isinstance(record, VmChanged):
        _write_change(database, record)
    elif isinstance(record, Confirmed):
        database.execute("REPLACE INTO confirmed VALUES (?,?)", (record.host, _json(CONFIRMED, record)))
    else:
        database.execute("INSERT INTO deed VALUES (NULL,?,?)", (wall_now, _json(DEED, record)))


def prune(database: sqlite3.Connection, wall_now: float) -> None:
    """Let go of what was done more than a day ago and of what is too much, inside a transaction."""
    beyond = "DELETE FROM deed WHERE number <= (SELECT max(number) FROM deed) - ?"
    database.execute(f"{beyond} AND at < ?", (SURE_DEEDS, wall_now - DEED_SECONDS))
    database.execute(beyond, (MOST_DEEDS,))


def read(database: sqlite3.Connection) -> Memory:
    """All that is kept.  Raises sqlite3.Error, or WireError for a row that nobody has written so."""
    members = tuple(HostId(host) for (host,) in database.execute("SELECT host FROM member ORDER BY host"))
    records = database.execute("SELECT host, version, member FROM forgotten ORDER BY host")
    forgotten = tuple(Forgotten(HostId(host), version, bool(member)) for host, version, member in records)
    owners = database.execute("SELECT vm, host FROM owner ORDER BY vm")
    words = database.execute("SELECT record FROM confirmed ORDER BY host")
    confirmed = tuple(_confirmed(text) for (text,) in words)
    last_owners = tuple((Uuid(vm), HostId(host)) for vm, host in owners)
    past = Past(members, forgotten, _read_pictures(database), last_owners, confirmed)
    return Memory(past, tuple(_deed(text) for (text,) in database.execute("SELECT deed FROM deed ORDER BY number")))


def _write_forgotten(database: sqlite3.Connection, record: Forgotten) -> None:
    # As in memory: of two records of one version the one that demands more counts.
    database.execute(
        "INSERT INTO forgotten VALUES (?1,?2,?3) ON CONFLICT (host) DO UPDATE SET version=?2, member=?3"
        " WHERE (version, member) < (?2, ?3)",
        (record.host, record.version, int(record.member)),
    )


def _write_picture(database: sqlite3.Connection, picture: HostPicture) -> None:
    """Only what differs is written: most inventories tell little that is new."""
    host = picture.host
    whose = (host, _json(INCARNATION, picture.incarnation), picture.generation)
    database.execute("REPLACE INTO host VALUES (?,?,?)", whose)
    rows = database.execute("SELECT vm, hypervisor, record FROM vm WHERE host=?", (host,))
    before = {(vm, hypervisor): record for vm, hypervisor, record in rows}
    after = {_place(record): record for record in picture.records}
    gone = [(host, *place) for place in before if place not in after]
    database.executemany("DELETE FROM vm WHERE host=? AND vm=? AND hypervisor=?", gone)
    told = [(place, record, _text(record, picture.incarnation)) for place, record in after.items()]
    _put(database, host, [(record, text) for place, record, text in told if before.get(place) != text])


def _write_change(database: sqlite3.Connection, change: VmChanged) -> None:
    host, record = change.host, change.record
    whose = (host, _json(INCARNATION, record.incarnation), change.generation)
    database.execute("INSERT INTO host VALUES (?1,?2,?3) ON CONFLICT (host) DO UPDATE SET generation=?3", whose)
    if change.gone:
        database.execute("DELETE FROM vm WHERE host=? AND vm=? AND hypervisor=?", (host, *_place(record)))
    else:
        [(incarnation,)] = database.execute("SELECT incarnation FROM host WHERE host=?", (host,))
        _put(database, host, [(record, _text(record, _incarnation(incarnation)))])


def _put(database: sqlite3.Connection, host: HostId, records: Iterable[tuple[VmRecord, str]]) -> None:
    rows = [(host, *_place(record), text) for record, text in records]
    database.executemany("REPLACE INTO vm VALUES (?,?,?,?)", rows)
    owned = [(record.uuid, host) for record, _ in records if is_owners_word(record.state)]
    database.executemany("REPLACE INTO owner VALUES (?,?)", owned)


def _read_pictures(database: sqlite3.Connection) -> tuple[HostPicture, ...]:
    rows = database.execute("SELECT host, incarnation, generation FROM host ORDER BY host").fetchall()
    return tuple(
        _read_picture(database, HostId(host), _incarnation(text), generation) for host, text, generation in rows
    )


def _read_picture(database: sqlite3.Connection, host: HostId, incarnation: Incarnation, generation: int) -> HostPicture:
    rows = database.execute("SELECT record FROM vm WHERE host=? ORDER BY vm, hypervisor", (host,))
    records = [_record(text) for (text,) in rows]
    return HostPicture(host, incarnation, generation, tuple(_of(record, host, incarnation) for record in records))


def _text(record: VmRecord, incarnation: Incarnation) -> str:
    """A record without its host, and without its incarnation where that is the host's, which stands in the host's row.

    So a daemon that was started again has the same rows, and in memory all records share one incarnation.
    """
    whose = NOBODY if record.incarnation == incarnation else record.incarnation
    return _json(VM_RECORD, replace(record, host=HostId(""), incarnation=whose))


def _of(record: VmRecord, host: HostId, incarnation: Incarnation) -> VmRecord:
    return replace(record, host=host, incarnation=incarnation if record.incarnation == NOBODY else record.incarnation)


def _place(record: VmRecord) -> tuple[str, str]:
    # The hypervisor's name may be no UTF-8, which sqlite would refuse.
    return record.uuid, ascii(record.hypervisor)


def _json(kind: Kind, value: object) -> str:
    return dump(kind.plain(value)).decode("ascii")


def _record(text: str) -> VmRecord:
    found = VM_RECORD.read(_loaded(text))
    assert isinstance(found, VmRecord)
    return found


def _incarnation(text: str) -> Incarnation:
    found = INCARNATION.read(_loaded(text))
    assert isinstance(found, Incarnation)
    return found


def _confirmed(text: str) -> Confirmed:
    found = CONFIRMED.read(_loaded(text))
    assert isinstance(found, Confirmed)
    return found


def _deed(text: str) -> Deed:
    found = DEED.read(_loaded(text))
    assert isinstance(found, Deed)
    return found


def _loaded(text: str) -> object:
    return load(text.encode("utf-8"))
