"""One run of an agent: its output, its user, its end, whatever it does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from fencebus_host.routers.fence_agent import process
from fencebus_host.routers.fence_agent.contract import Finished
from fencebus_host.routers.fence_agent.process import Account
from fencebus_schemas.deadline import Deadline
from tests.components import require_root
from tests.elapsed import Stopwatch
from tests.host_agent.routers.fence_agent.agents import open_to_all, until


def program(folder: Path, code: str) -> Path:
    path = folder / "fence_x"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


async def run(
    folder: Path, code: str, seconds: float = 5.0, text: bytes = b"", account: Account | None = None
) -> Finished:
    return await process.run(program(folder, code), text, account, Deadline.after(seconds))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int) -> bool:
    for _ in range(3000):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_it_gets_its_stdin_and_its_end_is_told(tmp_path: Path) -> None:
    run_ = await run(tmp_path, 'cat; echo "args: $#"; echo bad >&2; exit 2', text=b"action=status\n")
    assert run_ == Finished(2, "action=status\nargs: 0\n", "bad\n")


async def test_it_inherits_nothing_but_three_descriptors_and_a_clean_environment(tmp_path: Path) -> None:
    os.environ["SECRET_OF_OURS"] = "x"
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        found = await run(tmp_path, "ls /proc/self/fd; env; pwd; umask; ps -o pgid= -p $$; echo $$")
    finally:
        del os.environ["SECRET_OF_OURS"]
        os.close(reading)
        os.close(writing)
    lines = found.output.splitlines()
    assert lines[:3] == ["0", "1", "2"]
    assert str(writing) not in lines[:4]
    assert "SECRET_OF_OURS" not in found.output
    assert "LC_ALL=C.UTF-8" in lines
    assert lines[-4:-2] == ["/", "0077"]
    assert lines[-2].strip() == lines[-1]  # a group of its own


async def test_it_runs_as_the_user_it_was_given_and_without_our_groups(tmp_path: Path) -> None:
    require_root()
    open_to_all(tmp_path)
    found = await run(tmp_path, "id -u; id -g; id -G; echo $HOME", account=Account(65534, 65534, (), "/nonexistent"))
    assert found.output.split() == ["65534", "65534", "65534", "/nonexistent"]


async def test_one_that_hangs_is_ended_with_all_that_it_started_at_the_deadline(tmp_path: Path) -> None:
    watch = Stopwatch()
    found = await run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait", seconds=0.8)
    assert watch.undisturbed < 1.5
    assert found.status is None
    assert found.trouble == "it had not ended when its time was over"
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_one_that_ignores_the_first_signal_gets_the_second(tmp_path: Path) -> None:
    found = await run(tmp_path, f'trap "" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done', seconds=0.8)
    assert found.status is None
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_what_one_says_that_was_told_to_end_is_not_its_answer(tmp_path: Path) -> None:
    found = await run(tmp_path, 'trap "echo Status: OFF; exit 2" TERM; sleep 600 & wait', seconds=0.8)
    assert found.status is None


async def test_one_that_floods_is_ended_at_once_and_costs_no_more_than_the_limit(tmp_path: Path) -> None:
    watch = Stopwatch()
    found = await run(tmp_path, "while :; do echo 0123456789012345678901234567890123456789; done | cat", seconds=20)
    assert watch.undisturbed < 10
    assert found.status is None
    assert "it wrote more than" in found.trouble
    assert len(found.output) <= process.MOST_OUTPUT


async def test_a_child_that_holds_the_output_open_keeps_nobody_waiting_and_is_killed(tmp_path: Path) -> None:
    watch = Stopwatch()
    found = await run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; echo Status: OFF; exit 2", seconds=20)
    assert watch.undisturbed < 5
    assert found.status == 2
    assert found.output == "Status: OFF\n"
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_one_that_dies_of_a_signal_says_nothing(tmp_path: Path) -> None:
    found = await run(tmp_path, "echo Status: OFF; kill -SEGV $$")
    assert found.status == -11
    assert found.trouble.startswith("signal 11")


async def test_one_that_does_not_read_its_stdin_is_no_trouble(tmp_path: Path) -> None:
    found = await run(tmp_path, "exec <&-; exit 0", text=b"x" * process.MOST_STDIN)
    assert found.status == 0


async def test_one_that_cannot_be_started_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await process.run(tmp_path / "fence_none", b"", None, Deadline.after(30))
    with pytest.raises(OSError, match="options"):
        await process.run(tmp_path / "fence_none", b"x" * (process.MOST_STDIN + 1), None, Deadline.after(30))


async def test_one_whose_asker_gives_up_is_killed(tmp_path: Path) -> None:
    task = asyncio.create_task(
        run(tmp_path, f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 600")
    )
    await until((tmp_path / "pid").exists)
    task.cancel()
    await asyncio.wait([task])
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_many_at_once_mix_nothing_up(tmp_path: Path) -> None:
    path = program(tmp_path, "cat")
    texts = [f"plug={number}\n".encode() for number in range(20)]
    runs = await asyncio.gather(*(process.run(path, text, None, Deadline.after(30)) for text in texts))
    assert [each.output.encode() for each in runs] == texts
