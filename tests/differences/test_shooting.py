"""Two guests shoot each other at the same moment: with C's daemon both die, with ours one is left (S16)."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fencebus_schemas.model import Action
from fencebus_schemas.serialline import ReplyReader, SerialRequest
from tests.interop.programs import Line, Make, Plan, Site, site
from tests.interop.worlds import Vm, write_world
from tests.server_process import freeze

C, OURS = Make.C, Make.OURS
ROUNDS = 3
SERIAL = "<serial type='unix'><source mode='bind' path='{path}'/><target port='1'/></serial>"
NAMES = ("alpha", "beta")


class GuestLine:
    """A guest's serial line: the test is the guest, and its QEMU."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(30)
        self._daemon: socket.socket | None = None
        self._seqno = 0
        self._request = b""

    def close(self) -> None:
        self._listener.close()
        if self._daemon is not None:
            self._daemon.close()

    def await_daemon(self) -> None:
        if self._daemon is not None:
            self._daemon.close()
        self._daemon, _ = self._listener.accept()
        self._daemon.settimeout(30)

    def send(self, action: Action, target: str) -> None:
        self._seqno += 1
        self._request = SerialRequest(action.value, target, self._seqno).pack()
        self.send_again()

    def send_again(self) -> None:
        assert self._daemon is not None
        self._daemon.sendall(self._request)

    def reply(self, patience: float = 30) -> int | None:
        assert self._daemon is not None
        self._daemon.settimeout(patience)
        reader = ReplyReader()
        while not reader.feed(self._daemon.recv(64)):
            pass
        return reader.code

    def ask(self, action: Action, target: str) -> int | None:
        self.send(action, target)
        return self.reply()


@contextmanager
def two_guests(make: Make, folder: Path) -> Iterator[tuple[Site, GuestLine, GuestLine]]:
    """A daemon that is connected to the serial lines of two machines."""
    folder.mkdir()
    paths = {name: folder / name for name in NAMES}
    vms = [Vm(name, devices=SERIAL.format(path=path)) for name, path in paths.items()]
    uri = write_world(folder / "world.xml", vms)
    with ExitStack() as running:
        lines = [GuestLine(path) for path in paths.values()]
        for line in lines:
            running.callback(line.close)
        plan = Plan((uri,), Line.SERIAL, f'uri = "{uri}"; path = "{folder}";')
        place = running.enter_context(site(make, plan, folder / "site"))
        for line in lines:
            line.await_daemon()
        yield place, lines[0], lines[1]


def shoot(place: Site, alpha: GuestLine, beta: GuestLine) -> list[int | None]:
    """Both ask in one moment; returns what each is told."""
    freeze(place.daemon.pid)
    alpha.send(Action.OFF, "beta")
    beta.send(Action.OFF, "alpha")
    os.kill(place.daemon.pid, signal.SIGCONT)
    return [alpha.reply(), beta.reply()]


def living(line: GuestLine) -> list[str]:
    return [name for name in NAMES if line.ask(Action.STATUS, name) == 0]


def test_two_guests_that_shoot_each_other_at_the_same_moment_do_not_both_die(tmp_path: Path) -> None:
    with two_guests(C, tmp_path / "c") as (place, alpha, beta):
        assert shoot(place, alpha, beta) == [0, 0]
        assert living(alpha) == []
    with two_guests(OURS, tmp_path / "ours") as (place, alpha, beta):
        for _ in range(ROUNDS):
            told = shoot(place, alpha, beta)
            assert told in ([0, 1], [1, 0]), place.log
            survivor, dead, name = (alpha, beta, "beta") if told[0] == 0 else (beta, alpha, "alpha")
            assert living(survivor) == [other for other in NAMES if other != name]
            assert survivor.ask(Action.ON, name) == 0
            # A machine's line ends with it; the daemon opens the new one when it runs again.
            dead.await_daemon()
