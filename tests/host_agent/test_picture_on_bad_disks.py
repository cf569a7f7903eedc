"""What becomes of a picture whose disk is damaged or full: never a lie."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.effects import HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.fencing import RecordError
from fencebus_host.holdings import NO_GENERATION
from fencebus_host.picture import Picture
from fencebus_host.picture_tables import Memory
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Forgotten
from tests.components import require_program, require_root
from tests.host_agent.federated_words import B, C, incarnation, record, vm_number
from tests.host_agent.kept_pictures import DATABASE, EMPTY, keep_all, opened, remembered, upto
from tests.host_agent.picture_model import deed, perfect

# -- damaged ----------


async def copies(folder: Path, records: list[Kept]) -> Path:
    """Keep records one by one, and return a copy of the files as they stand while the daemon runs."""
    source, copy = folder / "source", folder / "copy"
    async with opened(source) as (picture, _):
        for each in records:
            assert await picture.keep(each)
        shutil.copytree(source, copy)
    return copy


def damages(length: int, count: int) -> Iterator[tuple[int, bool]]:
    """Where to cut, or to alter a byte."""
    chance = random.Random(5)
    for _ in range(count):
        yield chance.randrange(length), chance.random() < 0.5


async def after_damage(copy: Path, name: str, at: int, is_cut: bool, folder: Path) -> Memory | None:
    """What is remembered of a damaged copy; None if that is refused with an error that names the file."""
    shutil.copytree(copy, folder)
    data = bytearray((folder / name).read_bytes())
    data[at] ^= 0x41
    (folder / name).write_bytes(data[:at] if is_cut else data)
    try:
        return await remembered(folder)
    except RecordError as error:
        return None if DATABASE in str(error) else perfect(upto(1000))


async def test_a_damaged_journal_gives_an_earlier_state_or_an_error_but_no_lie(tmp_path: Path) -> None:
    count = 30
    copy = await copies(tmp_path, upto(count))
    name = f"{DATABASE}-wal"
    whole = copy / name
    states = [EMPTY, *(perfect(upto(number + 1)) for number in range(count))]
    for number, (at, is_cut) in enumerate(damages(whole.stat().st_size, 60)):
        memory = await after_damage(copy, name, at, is_cut, tmp_path / str(number))
        assert memory is None or memory in states
    assert await remembered(copy) == states[-1]


async def test_a_database_that_was_cut_is_an_error_or_an_earlier_state(tmp_path: Path) -> None:
    records = upto(60)
    await keep_all(tmp_path / "copy", records)
    length = (tmp_path / "copy" / DATABASE).stat().st_size
    found = []
    for number, (at, _) in enumerate(damages(length, 20)):
        found.append(await after_damage(tmp_path / "copy", DATABASE, at, True, tmp_path / str(number)))
    assert set(map(str, found)) <= {"None", str(EMPTY)}
    assert found.count(None) > len(found) / 2


@pytest.mark.parametrize("content", (b"this is not a database" * 100, b"SQLite format 3\0" + bytes(4096)))
async def test_what_is_no_database_is_an_error_with_its_path_and_is_not_overwritten(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(RecordError, match=DATABASE):
        await remembered(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    (
        "UPDATE vm SET record='{}'",
        "UPDATE vm SET record='ü'",
        "UPDATE deed SET deed='[]'",
        "UPDATE host SET incarnation='7'",
        "PRAGMA user_version=2",
    ),
)
async def test_rows_that_nobody_has_written_so_and_later_versions_are_refused(tmp_path: Path, damage: str) -> None:
    await keep_all(tmp_path, upto(40))
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute(damage)
    database.close()
    with pytest.raises(RecordError, match=DATABASE):
        await remembered(tmp_path)


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError):
        await remembered(tmp_path / "file" / "state")


# -- a disk that takes no more ----------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    require_root()
    mount, umount = require_program("mount", "mount"), require_program("umount", "mount")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stderr)
    try:
        yield folder
    finally:
        subprocess.run([umount, folder], check=True)


def fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def large(generation: int, name: str = "n") -> HostPicture:
    vms = tuple(record(B, vm_number(number), name=name * 2000) for number in range(500))
    return HostPicture(B, incarnation(B), generation, vms)


async def test_s4_on_a_full_disk_it_is_told_of_each_record_whether_it_is_kept(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(small_disk) as (picture, _):
        small = HostPicture(B, incarnation(B), 1, (record(B),))
        assert await picture.keep(small)
        asked: list[Kept] = [large(2), deed(1), large(3, "m"), MemberSeen(C)]
        kept = await asyncio.gather(*(picture.keep(each) for each in asked))
        assert kept == [False, True, False, True]
    assert await remembered(small_disk) == perfect([small, deed(1), MemberSeen(C)])
    assert "not kept" in caplog.text
    assert "HostPicture" in caplog.text


async def test_a_host_whose_inventory_could_not_be_kept_is_fetched_anew_after_a_restart(small_disk: Path) -> None:
    change = VmChanged(B, 3, record(B, vm_number(7)), False)
    async with opened(small_disk) as (picture, _):
        assert await picture.keep(HostPicture(B, incarnation(B), 1, (record(B),)))
        assert not await picture.keep(large(2))
        assert await picture.keep(change)
    [kept] = (await remembered(small_disk)).past.pictures
    assert kept.generation == NO_GENERATION
    assert set(kept.records) == {record(B), record(B, vm_number(7))}
    async with opened(small_disk) as (picture, _):
        assert not await picture.keep(large(2))
        assert await picture.keep(HostPicture(B, incarnation(B), 2, ()))
        assert await picture.keep(change)
    [kept] = (await remembered(small_disk)).past.pictures
    assert (kept.generation, kept.records) == (3, (change.record,))


async def test_members_that_a_full_disk_did_not_take_are_written_as_soon_as_there_is_room(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = [HostId(f"host{number:04d}-{'x' * 200}") for number in range(300)]
    filler = small_disk / "filler"
    async with opened(small_disk) as (picture, _):
        fill(filler)
        kept = [await picture.keep(MemberSeen(each)) for each in hosts]
        assert False in kept
        assert not await picture.keep(Forgotten(B, 1))
        os.truncate(filler, filler.stat().st_size - 40_000)  # room for one of them, not for all
        assert await picture.keep(deed(1))
        assert "not yet kept" in caplog.text
        filler.unlink()
        assert await picture.keep(deed(2))
    memory = await remembered(small_disk)
    assert memory.past.members == tuple(hosts)
    assert memory.past.forgotten == (Forgotten(B, 1),)


async def test_what_cannot_be_written_at_all_falls_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path) as (picture, _):
        endless = replace(deed(1), identity="i" * 300)
        asked: list[Kept] = [MemberSeen(B), endless, MemberSeen(HostId("\udcff")), MemberSeen(C)]
        assert await asyncio.gather(*(picture.keep(each) for each in asked)) == [True, False, False, True]
        # sqlite cannot hold the number: nobody expects that, and nobody waits for ever
        assert not await picture.keep(Forgotten(B, 1 << 70))
    assert (await remembered(tmp_path)).past.members == (B, C)
    assert "not kept" in caplog.text


async def test_a_closed_picture_keeps_nothing_and_may_be_closed_twice(tmp_path: Path) -> None:
    picture = Picture(tmp_path)
    assert not await picture.keep(MemberSeen(B))
    await picture.close()
    await picture.close()
