"""Runs a real program in the background of a test: start, wait until ready, read its output, stop it by its pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

POLL = 0.01  # seconds between two looks at a condition
READY = 45.0  # seconds a program may take until it is ready, on a loaded machine of two cores
GRACE = 30.0  # seconds between SIGTERM and SIGKILL


class NotReadyError(AssertionError):
    """A program ended early, or did not become ready in time; the text shows its output."""


class ServerProcess:
    """One program in the background; use it as a context manager, so that it cannot outlive its test.

    `argv` is the command, `log` the file that takes its stdout and stderr, `env` is added to the environment.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.argv = [str(part) for part in argv]
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running program."""
        if self._process is None:
            raise NotReadyError(f"{self.argv[0]} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything the program wrote so far, stdout and stderr together."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the program, in a process group of its own, with nothing on stdin."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout: float = READY, what: str = "ready") -> None:
        """Return once `ready()` is true; NotReadyError if the program ends before, or after `timeout` seconds."""
        limit = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise NotReadyError(f"{self.argv[0]} ended with {self.process.returncode}:\n{self.output}")
            if time.monotonic() > limit:
                raise NotReadyError(f"{self.argv[0]} is not {what} after {timeout} s:\n{self.output}")
            time.sleep(POLL)

    def wait_for_output(self, text: str, timeout: float = READY) -> None:
        """Return once the program has written `text`."""
        self.wait_until(lambda: text in self.output, timeout, f"saying {text!r}")

    def wait_for_tcp(self, port: int, host: str = "127.0.0.1", timeout: float = READY) -> None:
        """Return once somebody accepts TCP connections on `port`. This makes (and drops) connections."""
        self.wait_until(lambda: _accepts(host, port), timeout, f"listening on {host}:{port}")

    def wait_for_file(self, path: Path, timeout: float = READY) -> None:
        """Return once `path` exists and is not empty (a pid file, a socket counts too)."""
        self.wait_until(lambda: path.exists() and (path.is_socket() or path.stat().st_size > 0), timeout, f"at {path}")

    def wait(self, timeout: float = READY) -> int:
        """Return the program's exit status, once it ends by itself."""
        return self.process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program, and to it alone; after SIGSTOP it stands still."""
        self.process.send_signal(number)
        if number is signal.SIGSTOP:
            self.wait_until(lambda: stands_still(self.pid), what="standing still")

    def stop(self, number: signal.Signals = signal.SIGTERM, grace: float = GRACE) -> int:
        """End the program, by SIGKILL after `grace` seconds; return its exit status (negative: a signal's number)."""
        if self.running:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)  # whoever stands still would not hear it
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(grace)


def freeze(pid: int) -> None:
    """Stop a process by SIGSTOP, and return once it stands still: until then it may answer yet."""
    os.kill(pid, signal.SIGSTOP)
    limit = time.monotonic() + READY
    while not stands_still(pid):
        assert time.monotonic() < limit, f"process {pid} does not stand still"
        time.sleep(POLL)


def stands_still(pid: int) -> bool:
    """Whether each thread of a process is stopped: the signal reaches them once one has got round to it."""
    states = [_state(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return bool(states) and set(states) == {"T"}


def _state(stat: Path) -> str:
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
