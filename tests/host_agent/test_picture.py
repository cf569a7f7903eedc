"""What this host knows of the others is on the disk, or whoever wanted it there hears that it is not."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fencebus_host import picture_tables
from fencebus_host.effects import Deed, HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.fencing import RecordError
from fencebus_host.holdings import NO_GENERATION
from fencebus_host.ownership import Past
from fencebus_host.picture import Picture
from fencebus_host.picture_tables import DEED, DEED_SECONDS, Memory
from fencebus_schemas.model import HostId, VmState
from fencebus_schemas.peer import Forgotten
from tests.components import CHECKOUT, require_program, require_root
from tests.host_agent.federated_words import A, B, C, host, incarnation, record, vm_number
from tests.host_agent.picture_model import deed, numbered, perfect

DATABASE = "picture.sqlite"
EMPTY = Memory(Past(), ())


@asynccontextmanager
async def opened(folder: Path, wall_clock: float = 1e9) -> AsyncIterator[tuple[Picture, Memory]]:
    picture = Picture(folder, lambda: wall_clock)
    try:
        yield picture, await picture.open()
    finally:
        await picture.close()


async def remembered(folder: Path) -> Memory:
    async with opened(folder) as (_, memory):
        return memory


async def keep_all(folder: Path, records: list[Kept]) -> None:
    async with opened(folder) as (picture, _):
        assert await asyncio.gather(*(picture.keep(each) for each in records)) == [True] * len(records)


# -- a good disk ----------


async def test_an_empty_folder_remembers_nothing_and_is_not_synced(tmp_path: Path) -> None:
    memory = await remembered(tmp_path / "state")
    assert memory == EMPTY
    assert not host(A, past=memory.past).synced


@pytest.mark.parametrize("count", (40, 200))
async def test_everything_that_was_kept_comes_back(tmp_path: Path, count: int) -> None:
    records = [numbered(number) for number in range(count)]
    await keep_all(tmp_path, records)
    assert await remembered(tmp_path) == perfect(records)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 7))
def test_any_records_in_any_order_and_in_any_batches_come_back(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], batch: int
) -> None:
    records = [numbered(number) for number in numbers]
    folder = tmp_path_factory.mktemp("state")

    async def kept() -> Memory:
        async with opened(folder) as (picture, _):
            for at in range(0, len(records), batch):
                await asyncio.gather(*(picture.keep(each) for each in records[at : at + batch]))
        return await remembered(folder)

    assert asyncio.run(kept()) == perfect(records)


async def test_a_host_that_starts_again_knows_all_that_it_knew(tmp_path: Path) -> None:
    before, there = host(A), host(B)
    there.own_inventory([record(B), record(B, vm_number(1), VmState.OFF)], 0.0)
    heard = before.inventory_heard(there.inventory_for(A), 0.0)
    await keep_all(tmp_path, list(heard.keep))
    after = host(A, past=(await remembered(tmp_path)).past, start=2)
    assert (after.members, set(after.everything())) == (before.members, set(before.everything()))
    assert after.last_owner(record(B).uuid) == B
    assert after.synced


async def test_records_of_one_host_share_its_incarnation_in_memory(tmp_path: Path) -> None:
    await keep_all(tmp_path, [HostPicture(B, incarnation(B), 1, (record(B), record(B, vm_number(1))))])
    [picture] = (await remembered(tmp_path)).past.pictures
    assert picture.records[0].incarnation is picture.records[1].incarnation


async def test_deeds_are_kept_a_day_and_no_more_than_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_tables, "SURE_DEEDS", 1)
    monkeypatch.setattr(picture_tables, "MOST_DEEDS", 3)
    for number, at in ((1, 0.0), (2, 10.0), (3, DEED_SECONDS + 5.0)):
        async with opened(tmp_path, at) as (picture, _):
            assert await picture.keep(deed(number))
    assert (await remembered(tmp_path)).deeds == (deed(2), deed(3))
    async with opened(tmp_path, DEED_SECONDS) as (picture, _):
        for number in range(4, 8):
            assert await picture.keep(deed(number))
    assert (await remembered(tmp_path)).deeds == (deed(5), deed(6), deed(7))


@pytest.mark.parametrize("jump", (10 * 365 * DEED_SECONDS, -10 * 365 * DEED_SECONDS))
async def test_s4_a_wall_clock_that_jumps_by_years_takes_no_deed_away(tmp_path: Path, jump: float) -> None:
    for number, at in ((1, 1e9), (2, 1e9 + jump)):
        async with opened(tmp_path, at) as (picture, _):
            assert await picture.keep(deed(number))
    assert (await remembered(tmp_path)).deeds == (deed(1), deed(2))


def test_no_field_of_a_deed_is_left_out() -> None:
    assert set(DEED.kinds) == {each.name for each in fields(Deed)}


async def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "state") as (picture, _):
        await picture.keep(MemberSeen(B))
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_whoever_does_not_wait_for_the_disk_holds_nobody_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as (picture, _):
        tasks = [asyncio.create_task(picture.keep(MemberSeen(each))) for each in (A, B, C)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert all(await asyncio.gather(tasks[0], tasks[2]))
    assert (await remembered(tmp_path)).past.members == (A, B, C)


async def test_s4_a_deed_is_written_with_the_changes_before_it_and_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.picture.COMPANY_SECONDS", 3600.0)
    async with opened(tmp_path) as (picture, _):
        commits = commits_of(picture, monkeypatch)
        change = asyncio.create_task(picture.keep(VmChanged(B, 1, record(B), False)))
        await asyncio.sleep(0.02)
        assert commits == []
        assert await picture.keep(deed(1))
        assert await change
        assert [[type(each) for each in commit] for commit in commits] == [[VmChanged, Deed]]


async def test_a_change_in_whose_company_nothing_comes_is_written_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as (picture, _):
        assert await picture.keep(VmChanged(B, 1, record(B), False))
        assert await picture.keep(VmChanged(B, 2, record(B, vm_number(7)), False))
    [kept] = (await remembered(tmp_path)).past.pictures
    assert set(kept.records) == {record(B), record(B, vm_number(7))}


async def test_what_waits_for_company_is_written_when_the_daemon_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.picture.COMPANY_SECONDS", 3600.0)
    async with opened(tmp_path) as (picture, _):
        change = asyncio.create_task(picture.keep(VmChanged(B, 1, record(B), False)))
        await asyncio.sleep(0)
    assert await change
    assert [each.host for each in (await remembered(tmp_path)).past.pictures] == [B]


def commits_of(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Kept]]:
    """What is written together, from now on."""
    commits: list[Sequence[Kept]] = []
    commit = picture._commit

    def counted(records: Sequence[Kept]) -> None:
        commits.append(records)
        commit(records)

    monkeypatch.setattr(picture, "_commit", counted)
    return commits


# -- killed ----------


async def test_a_kill_at_any_moment_leaves_all_that_was_confirmed_and_nothing_half(tmp_path: Path) -> None:
    chance, first = random.Random(3), 0
    for _ in range(12):
        confirmed = await killed_after(tmp_path, first, chance.uniform(0.0, 0.06))
        memory = await remembered(tmp_path)
        first = next_number(memory, confirmed)
    assert first > 36


async def killed_after(folder: Path, first: int, seconds: float) -> int:
    """Start a keeper at ``first``, kill it so long after its first word; returns the number that it had come to."""
    program = (sys.executable, "-m", "tests.host_agent.killed_while_it_keeps", str(folder), str(first))
    keeper = await asyncio.create_subprocess_exec(*program, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE)
    assert keeper.stdout is not None
    said = await keeper.stdout.readline()
    await asyncio.sleep(seconds)
    keeper.kill()
    said += await keeper.stdout.read()
    assert await keeper.wait() == -signal.SIGKILL
    return int(said.split()[-1])


def next_number(memory: Memory, confirmed: int) -> int:
    """How many records the disk holds: those that were confirmed, and perhaps some that could not be any more."""
    held = [number for number in range(confirmed, confirmed + 7) if perfect(upto(number)) == memory]
    assert held, "neither what was confirmed nor that and what was under way"
    return held[0]


def upto(number: int) -> list[Kept]:
    return [numbered(each) for each in range(number)]


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
