"""Converts a driver that runs on another host (driver_on_a_host) into calls and answers of this test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from fencebus_schemas.model import Life, Proof, Sight, Uuid, VmState
from tests.components import CHECKOUT
from tests.guests.hosts import TwinHost

Line = tuple[str | bool, ...]


@dataclass(frozen=True)
class Off:
    """What the driver said of a power_off."""

    state: VmState
    proof: Proof
    in_flight: bool
    ended: bool
    """It named the life that it ended."""


PROVEN = Off(VmState.OFF, Proof.PROCESS_EXIT, in_flight=False, ended=True)
IN_FLIGHT = Off(VmState.UNKNOWN, Proof.NONE, in_flight=True, ended=False)


class DistantDriver:
    """One driver; use it as a context manager."""

    def __init__(self, host: TwinHost, *, marks: bool = False) -> None:
        self._host, self._marks = host, marks
        self._lines: list[Line] = []
        self._more = threading.Condition()

    def __enter__(self) -> DistantDriver:
        argv = [*self._host.prefix, sys.executable, "-m", "tests.agent.driver_on_a_host", self._host.name]
        argv += ["marks"] if self._marks else []
        env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}  # who enters another mount namespace loses its folder
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=env
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._await(0, "ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()
        self._process.stdout.close()

    def off(self, vm: str) -> Off:
        """End the VM."""
        state, proof, in_flight, ended = self.ask("off", vm)
        assert state != "error", proof
        return Off(VmState(state), Proof(proof), bool(in_flight), bool(ended))

    def state(self, vm: str) -> VmState | None:
        """What the VM is there; ``None`` if it is not known there."""
        (word,) = self.ask("find", vm)
        return None if word == "nothing" else VmState(word)

    def look(self, vm: str) -> Sight:
        """What the driver would tell other hosts."""
        state, in_flight, mark, past = self.ask("look", vm)
        ended, left = json.loads(str(past))
        life = Life(str(mark)) if mark else None
        uuid, here = Uuid(vm), VmState(state)
        return Sight(uuid, here, in_flight=bool(in_flight), life=life, ended=tuple(ended), left=tuple(left))

    def ask(self, verb: str, vm: str) -> Line:
        """Have an errand done."""
        assert self._process.stdin is not None
        with self._more:
            after = len(self._lines)
        self._process.stdin.write(f"{verb} {vm}\n")
        return self._await(after, verb, vm)

    def hears(self, vm: str, kind: str, detail: str = "") -> None:
        """Wait until the driver has heard an event of the VM, now or before."""
        self._await(0, "heard", vm, kind, detail)

    def _await(self, after: int, *words: str) -> Line:
        limit = time.monotonic() + 30
        with self._more:
            while True:
                for line in self._lines[after:]:
                    if line[: len(words)] == words:
                        return line[len(words) :]
                left = limit - time.monotonic()
                assert left > 0, f"{self._host.name} did not say {words}: {self._lines[-20:]}"
                self._more.wait(left)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._lines.append(tuple(json.loads(line)))
                self._more.notify_all()
