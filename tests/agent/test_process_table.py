"""Processes that carry a VM's UUID, in the real /proc."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fencebus_agent import process_table
from fencebus_agent.process_watch import ProcessWatch, all_gone, hold, hold_all, last_exit
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Uuid
from tests.hypervisors import eventually, soon

SLEEP = "import time; time.sleep(60)"
# The main thread leaves by itself, the way of a QEMU that is being killed while another of its threads is stuck.
HEADLESS = """\
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall(60, 0)
"""

Start = Callable[..., tuple[subprocess.Popen[bytes], Uuid]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process whose command line is a QEMU's, as far as anybody looks."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(code: str = SLEEP, name: str = "guest=vm1,debug-threads=on") -> tuple[subprocess.Popen[bytes], Uuid]:
        vm = str(uuid.uuid4())
        process = subprocess.Popen([sys.executable, "-IS", "-c", code, "-name", name, "-uuid", vm.upper()])
        running.append(process)
        limit = time.monotonic() + 30
        while process_table.read_qemu(process.pid) is None and time.monotonic() < limit:
            time.sleep(0.01)
        return process, Uuid(vm)

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_a_process_is_known_by_the_uuid_in_its_command_line(start: Start) -> None:
    before = boottime()
    process, vm = start()
    qemu = process_table.read_qemu(process.pid)
    assert qemu is not None
    assert (qemu.pid, qemu.vm, qemu.name) == (process.pid, vm, "vm1")
    assert qemu.life.mark.startswith(f"{process.pid}:")
    assert qemu.life.began_at is not None
    assert before - 0.02 <= qemu.life.began_at <= boottime() + 0.02
    assert qemu in process_table.scan()


@pytest.mark.parametrize(
    ("written", "name"),
    (("vm2", "vm2"), ("guest=a,,b,debug-threads=on", "a,b"), ("guest=", "")),
)
def test_names_are_read_as_qemu_writes_them(start: Start, written: str, name: str) -> None:
    process, _ = start(name=written)
    qemu = process_table.read_qemu(process.pid)
    assert qemu is not None
    assert qemu.name == name


def test_a_process_without_a_uuid_or_without_existence_is_no_vm() -> None:
    assert process_table.read_qemu(os.getpid()) is None
    assert process_table.read_qemu(2**22 + 1) is None
    assert hold(2**22 + 1) is None
    assert hold(os.getpid()) is None


def test_a_broken_proc_is_no_vm(tmp_path: Path) -> None:
    assert process_table.scan(str(tmp_path / "none")) == []
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "cmdline").write_bytes(b"")
    (tmp_path / "7" / "stat").write_text("7 (x) S 1")
    assert process_table.scan(str(tmp_path)) == []


def test_a_proc_that_hides_others_is_noticed(tmp_path: Path) -> None:
    assert process_table.sees_others()
    assert not process_table.sees_others(str(tmp_path))


async def test_a_process_whose_main_thread_is_gone_still_counts(start: Start) -> None:
    process, vm = start(HEADLESS)
    state = Path(f"/proc/{process.pid}/stat")
    await eventually(lambda: ") Z " in state.read_text())
    command = Path(f"/proc/{process.pid}/cmdline")
    await eventually(lambda: command.read_bytes() == b"")
    (held,) = hold_all(vm)
    assert held.qemu.vm == vm
    watch = ProcessWatch()
    watched = watch.follow(held)
    await all_gone([watched], soon(0.2))
    assert watched.exited_at is None
    os.kill(process.pid, signal.SIGKILL)
    await all_gone([watched], soon())
    assert watched.exited_at is not None


async def test_an_exit_is_seen_with_its_time_also_before_anybody_reaps(start: Start) -> None:
    process, vm = start()
    watch = ProcessWatch()
    held = hold(process.pid)
    assert held is not None
    watched = watch.follow(held)
    assert watch.alive(vm) == [watched]
    assert watch.named("vm1") == vm
    assert last_exit([watched]) is None
    before = boottime()
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(watched.gone.wait(), 30)
    assert watched.exited_at is not None
    assert before <= watched.exited_at <= boottime()
    assert last_exit([watched]) == watched.exited_at
    assert watch.alive(vm) == []


async def test_a_process_is_followed_once(start: Start) -> None:
    process, vm = start()
    watch = ProcessWatch()
    first, second = hold(process.pid), hold(process.pid)
    assert first is not None
    assert second is not None
    assert watch.follow(first) is watch.follow(second)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(second.pidfd)
    assert len(watch.alive(vm)) == 1
    watch.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first.pidfd)


async def test_waiting_for_a_process_that_lives_ends_at_the_deadline(start: Start) -> None:
    process, _ = start()
    watch = ProcessWatch()
    held = hold(process.pid)
    assert held is not None
    watched = watch.follow(held)
    await all_gone([watched], Deadline.after(0.05))
    assert watched.exited_at is None
    watch.close()


def test_no_processes_have_no_last_exit() -> None:
    assert last_exit([]) is None
