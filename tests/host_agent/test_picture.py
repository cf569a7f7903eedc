"""What a host knows of the others comes back after a stop and after a kill."""

from __future__ import annotations

import asyncio
import random
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fencebus_host import picture_tables
from fencebus_host.effects import Deed, HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.picture import Picture
from fencebus_host.picture_tables import DEED, DEED_SECONDS, Memory
from fencebus_schemas.model import VmState
from tests.components import CHECKOUT
from tests.host_agent.federated_words import A, B, C, host, incarnation, record, vm_number
from tests.host_agent.kept_pictures import EMPTY, keep_all, opened, remembered, upto
from tests.host_agent.picture_model import deed, numbered, perfect

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
    monkeypatch.setattr("fencebus_host.picture.PRUNED_AFTER", 1)
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
