"""What is on the disk, and when."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.lives import PastLives
from fencebus_agent.roster import EndedDomain, Remembered
from fencebus_host.fencing import RecordError
from fencebus_host.records import Records
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import LEFT_UNMARKED, Action, FenceOutcome, FenceRequest, HostId, Reason, VmState
from tests.components import CHECKOUT, require_program, require_root
from tests.host_agent import evidence
from tests.host_agent.evidence import OTHER, THIRD, VM, request
from tests.host_agent.house import opened

DATABASE = "records.sqlite"


def outcome(asked: FenceRequest) -> FenceOutcome:
    return FenceOutcome(asked.id, False, Reason.NOT_PROVEN, (evidence.ended(), evidence.was_off()), "text")


async def test_a_kill_is_found_again_by_the_next_daemon(tmp_path: Path) -> None:
    first = Records(tmp_path, {})
    await first.open()
    asked = request()
    await first.ended(asked, evidence.killed(2))
    await first.close()
    second = Records(tmp_path, {})
    await second.open()
    assert await second.kills() == [(VM, "1", asked.id), (VM, "1", asked.id)]
    await second.close()


async def test_s4_a_kill_is_on_the_disk_when_it_is_answered_whatever_becomes_of_the_daemon(tmp_path: Path) -> None:
    program = (sys.executable, "-m", "tests.host_agent.killed_after_its_answer")
    killed = await asyncio.create_subprocess_exec(*program, str(tmp_path), VM, cwd=CHECKOUT)
    assert await killed.wait() == -signal.SIGKILL
    with sqlite3.connect(tmp_path / DATABASE) as database:
        rows = database.execute("SELECT vm, proof FROM kill").fetchall()
    database.close()
    assert rows == [(VM, "process exit")]


async def test_s14_what_a_kill_in_flight_left_behind_is_on_the_disk_when_it_is_answered(tmp_path: Path) -> None:
    memory = Remembered()
    first = Records(tmp_path, {"a": lambda: memory})
    await first.open()
    unproven = replace(evidence.ended(), state=VmState.UNKNOWN, ended=None, migration_in_flight=True)
    memory = Remembered(left=frozenset({VM}), lingering=((OTHER, "an NBD server may write"),))
    await first.ended(request(), Evidence((evidence.record(),), (unproven,)))
    second = Records(tmp_path, {})
    await second.open()
    assert await second.remembered("a") == memory
    assert await second.kills() == []
    await second.close()
    await first.close()


async def test_s14_a_fence_that_failed_in_flight_has_written_down_what_its_driver_learnt(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        memory = Remembered(left=frozenset({VM}))
        house.records._memories = {house.hypervisor.name: lambda: memory}
        house.hypervisor.faults(VM).in_flight = True
        assert (await house.ask(Action.OFF)).outcome.reason is Reason.IN_FLIGHT
        assert await house.records.remembered(house.hypervisor.name) == memory


async def test_what_was_off_already_is_no_kill(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        house.hypervisor.happen(VM, VmState.OFF)
        await house.ask(Action.OFF)
        assert await house.records.kills() == []


async def test_the_lives_that_ended_and_left_are_found_again_by_the_next_daemon(tmp_path: Path) -> None:
    memory = Remembered(lives={VM: PastLives(("m1", "m2"), ("m3",)), OTHER: PastLives(left=(LEFT_UNMARKED,))})
    first = Records(tmp_path, {"a": lambda: memory})
    await first.open()
    await first.ended(request(), evidence.killed())
    memory = Remembered(lives={VM: PastLives(("m1", "m2", "id 4")), THIRD: PastLives(("m5",))})
    await first.keep("a")
    await first.close()
    second = Records(tmp_path, {})
    await second.open()
    assert await second.remembered("a") == memory
    assert await second.remembered("b") == Remembered()
    await second.close()


async def test_what_departed_before_lives_had_marks_has_left_without_one(tmp_path: Path) -> None:
    memory = Remembered(left=frozenset({VM}))
    first = Records(tmp_path, {"a": lambda: memory})
    await first.open()
    await first.keep("a")
    await first.close()
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute("DROP TABLE lives")
    database.close()
    for _ in range(2):
        again = Records(tmp_path, {})
        await again.open()
        assert await again.remembered("a") == replace(memory, lives={VM: PastLives(left=(LEFT_UNMARKED,))})
        await again.close()


async def test_a_later_kill_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.ask(Action.OFF)
        await house.ask(Action.ON)
        last = await house.ask(Action.OFF)
        ended = last.outcome.observations[0].ended
        assert ended is not None
        assert await house.records.kills() == [(VM, ended.mark, last.outcome.request)]


async def test_what_a_driver_remembers_is_written_with_the_kill(tmp_path: Path) -> None:
    memory = Remembered((EndedDomain(VM, "vm", "<domain/>", 5.0),), frozenset({OTHER, THIRD}))
    records = Records(tmp_path, {"a": lambda: memory})
    await records.open()
    await records.ended(request(), evidence.killed())
    assert await records.remembered("a") == memory
    assert await records.remembered("b") == Remembered()
    memory = Remembered()
    await records.keep("a")
    await records.keep("a")
    assert await records.remembered("a") == Remembered()
    await records.close()


# -- the history ----------


async def test_the_history_is_bounded_and_its_newest_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.records.MOST_HISTORY", 3)
    records = Records(tmp_path, {})
    await records.open()
    asked = [request(Action.REBOOT) for _ in range(5)]
    for one in asked:
        records.note(one, outcome(one), 0.1)
    kept = await records.history()
    assert kept == [(one.id, "reboot", VM, "not-proven") for one in reversed(asked[2:])]
    await records.close()


# -- a disk that does not do what it should ----------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    require_root()
    mount, umount = require_program("mount", "mount"), require_program("umount", "mount")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stderr)
    try:
        yield folder
    finally:
        subprocess.run([umount, folder], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


async def test_s4_on_a_full_disk_a_kill_is_a_failure_until_there_is_room_again(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(small_disk) as house:
        await house.ask(Action.ON)
        filler = fill(small_disk)
        failed = (await house.ask(Action.REBOOT)).outcome
        for _ in range(400):  # until what was left in the pages that the database has is used up
            if not failed.ok:
                break
            failed = (await house.ask(Action.REBOOT)).outcome
        assert (failed.ok, failed.reason) == (False, Reason.NOT_RECORDED)
        assert "the record of the kill could not be written" in failed.text
        assert await house.state() is VmState.OFF
        await house.records.kills()  # behind the history's last line: it has been tried before there is room again
        filler.unlink()
        assert (await house.ask(Action.OFF, OTHER)).outcome.reason is Reason.PROVEN_OFF
        assert OTHER in [vm for vm, _, _ in await house.records.kills()]
    assert "history not written" in caplog.text


@pytest.mark.parametrize("content", (b"this is not a database" * 100, b"SQLite format 3\0" + bytes(4096)))
async def test_a_damaged_database_is_an_error_with_its_path_and_nothing_is_overwritten(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    records = Records(tmp_path, {})
    with pytest.raises(RecordError, match=DATABASE):
        await records.open()
    await records.close()
    assert (tmp_path / DATABASE).read_bytes() == content


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    records = Records(tmp_path / "file" / "state", {})
    with pytest.raises(RecordError):
        await records.open()
    await records.close()


async def test_closed_records_refuse_and_may_be_closed_twice(tmp_path: Path) -> None:
    never_opened = Records(tmp_path, {})
    with pytest.raises(RecordError, match="closed"):
        await never_opened.kills()
    await never_opened.close()
    await never_opened.close()


async def test_a_kill_that_nobody_can_write_down_any_more_is_a_failure(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.records.close()
        assert not (await house.ask(Action.OFF)).outcome.ok


async def test_only_the_owner_may_read_what_may_hold_passwords(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "state") as house:
            await house.ask(Action.OFF)
            modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
            assert modes == {0o600}
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    finally:
        os.umask(before)


async def test_writers_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path, {})
    await records.open()
    kills = [Evidence((), (replace(evidence.ended(), hypervisor=f"hypervisor {number}"),)) for number in range(20)]
    await asyncio.gather(*(records.ended(request(), one) for one in kills))
    assert len(await records.kills()) == 20
    await records.close()


async def test_s4_what_another_host_has_ended_is_on_its_disk_and_its_copy_here_holds_no_answer_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = evidence.killed(2)
    records = Records(tmp_path, {}, host=HostId("another"))
    asked = request()
    await records.open()
    await records.ended(asked, elsewhere)
    assert await records.kills() == [(VM, "1", asked.id), (VM, "1", asked.id)]
    await records.close()
    await records.ended(asked, elsewhere)
    assert "kill not written" in caplog.text


async def test_s4_an_end_that_this_host_saw_beside_anothers_is_on_the_disk_when_it_is_answered(tmp_path: Path) -> None:
    both = evidence.killed(2)
    foreign, own = both.observations
    mixed = replace(both, observations=(replace(foreign, host=HostId("another")), own))
    records = Records(tmp_path, {}, host=own.host)
    with pytest.raises(RecordError):
        await records.ended(request(), mixed)
