"""Runs one agent to its end, or to its deadline: in a process group of its own, as the user it was given, with nothing
of ours but its stdin.

A shell.  The kernel's pidfd says when the agent has ended; a child that it leaves behind, or that holds its output
open, keeps nobody waiting and is killed before the agent's pid can belong to somebody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.patience import set_by
from fencebus_host.routers.fence_agent.contract import NO_TIME, Finished
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

MOST_OUTPUT = 4 << 20
"""Bytes of stdout and of stderr, each; an agent that writes more is ended."""
MOST_STDIN = 48 << 10
"""Bytes: what fits into an empty pipe, so that writing it never waits."""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, at most a quarter of the time there is; both come before the deadline."""
LAST_WAIT = 0.3
"""Seconds to wait for the kernel's word behind a SIGKILL."""
_READ = 1 << 16
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "HOME": "/"}


@dataclass(frozen=True, slots=True)
class Account:
    """Who an agent runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


class _Stream:
    """Collects what arrives in a pipe, up to a limit, and calls ``flooded`` at the limit."""

    def __init__(self, descriptor: int, flooded: Callable[[], None]) -> None:
        self._descriptor: int | None = descriptor
        self._flooded = flooded
        self._bytes = bytearray()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @property
    def text(self) -> str:
        return self._bytes.decode("utf-8", "surrogateescape")

    def close(self) -> None:
        """Take what has arrived until now, and no more."""
        while self._descriptor is not None and self._read():
            pass
        self._stop()

    def _read(self) -> bool:
        """True if something came."""
        assert self._descriptor is not None
        try:
            some = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return False
        self._bytes += some
        if len(self._bytes) > MOST_OUTPUT:
            del self._bytes[MOST_OUTPUT:]
            self._flooded()
            some = b""
        if not some:
            self._stop()
        return bool(some)

    def _stop(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


class _Child:
    """A running agent."""

    def __init__(self, argv: tuple[str, ...], text: bytes, account: Account | None) -> None:
        loop = asyncio.get_running_loop()
        self.flooded = False
        self.ended: asyncio.Future[int] = loop.create_future()
        self.stopped = asyncio.Event()
        """It has ended, or there is a reason to end it."""
        self._process = _started(argv, account)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pidfd = os.pidfd_open(self._process.pid)
        loop.add_reader(self._pidfd, self._reap)
        self.output = _Stream(os.dup(self._process.stdout.fileno()), self._flood)
        self.complaint = _Stream(os.dup(self._process.stderr.fileno()), self._flood)
        self._process.stdout.close()
        self._process.stderr.close()
        with self._process.stdin as stdin:
            _write(stdin.fileno(), text)

    def signal(self, number: signal.Signals) -> None:
        """To the agent and all that it started, unless it is gone: then its number may be another's."""
        if not self.ended.done():
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # only its shell is left, which is reaped in a moment
            except PermissionError:
                log.error("the agent with process id %d may not be ended", self._process.pid)

    def close(self) -> None:
        """End what still runs, and take no more output.  Reaping goes on by itself."""
        self.signal(signal.SIGKILL)
        self.output.close()
        self.complaint.close()

    def _flood(self) -> None:
        self.flooded = True
        self.stopped.set()

    def _reap(self) -> None:
        """The kernel says that it has ended.  Until it is reaped its process group cannot be anybody else's."""
        self.signal(signal.SIGKILL)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.ended.set_result(self._process.wait())
        self.stopped.set()


async def run(
    program: Path, text: bytes, account: Account | None, deadline: Deadline, arguments: tuple[str, ...] = ()
) -> Finished:
    """Run ``program`` with ``text`` on its stdin; over at the deadline whatever it does.

    account: ``None`` to run it as who we are.  arguments: none for an agent, which reads its stdin only without any.
    Raises OSError if it cannot be started.
    """
    if len(text) > MOST_STDIN:
        raise OSError(0, f"its options have more than {MOST_STDIN} bytes")
    child = _Child((str(program), *arguments), text, account)
    try:
        await set_by(child.stopped, deadline.sooner(deadline.remaining() - min(GRACE, deadline.remaining() / 4)))
        in_time = child.stopped.is_set() and not child.flooded
        if not child.stopped.is_set():
            child.signal(signal.SIGTERM)
            await set_by(child.stopped, deadline)
        if not child.ended.done():
            child.signal(signal.SIGKILL)
            await asyncio.wait([child.ended], timeout=LAST_WAIT)
    finally:
        child.close()
    return _finished(child, in_time)


def _finished(child: _Child, in_time: bool) -> Finished:
    """What an agent says after it was told to end is not its answer, whatever its exit status."""
    output, complaint = child.output.text, child.complaint.text
    if in_time and not child.flooded:
        return Finished(child.ended.result(), output, complaint)
    why = f"it wrote more than {MOST_OUTPUT} bytes" if child.flooded else NO_TIME
    return Finished(None, output, complaint, why)


def _started(argv: tuple[str, ...], account: Account | None) -> subprocess.Popen[bytes]:
    environment: Mapping[str, str] = {**_ENVIRONMENT, **({"HOME": account.home} if account else {})}
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=environment,
        start_new_session=True,
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=account.groups if account else None,
    )


def _write(descriptor: int, text: bytes) -> None:
    """All at once: it fits into an empty pipe, and an agent that does not read it cannot hold us up."""
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, text)
