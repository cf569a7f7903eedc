"""Decides who does what in a siege: requesters that fence, trouble that libvirt, QEMU and the daemon get into."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libvirt

from fencebus_schemas.model import Action
from tests.daemon_process import SECRET, DaemonProcess
from tests.libvirtd import Libvirtd, guest_xml
from tests.protocol_client import PeerClosed, ask_tcp, connect, signed
from tests.soak.oracle import Process, Watch, living

WEIGHTS = {Action.OFF: 40, Action.REBOOT: 25, Action.ON: 25, Action.STATUS: 10}
LONGEST = 30.0
"""Seconds within which every request must end: the daemon's 25 s, and some for a loaded machine."""
REQUESTERS = 4
PERSISTENT, TRANSIENT = 4, 1


@dataclass
class Tally:
    """What came of the requests."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0

    def table(self) -> str:
        """For a reader."""
        rows = [f"{action:8}{answer:12}{count:6}" for (action, answer), count in sorted(self.answers.items())]
        troubles = ", ".join(f"{name} {count}" for name, count in sorted(self.troubles.items()))
        return "\n".join([*rows, f"longest request {self.longest:.1f} s", f"troubles: {troubles}"])


@dataclass
class Siege:
    """Everything that takes part."""

    libvirtd: Libvirtd
    daemon: DaemonProcess
    vms: dict[str, str]
    """Name and UUID of each VM."""
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    over: threading.Event = field(default_factory=threading.Event)

    def last(self, seconds: float) -> None:
        """Besiege for so long, then let every request end."""
        watch = Watch(tuple(self.vms.values()))
        acts = [self._request] * REQUESTERS
        requesters = [threading.Thread(target=self._repeat, args=(act, random.Random(n))) for n, act in enumerate(acts)]
        others = [threading.Thread(target=watch.run), threading.Thread(target=self._trouble)]
        for thread in (*requesters, *others):
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in requesters:
            thread.join(LONGEST + 10)
        watch.stop()
        for thread in others:
            thread.join(LONGEST)
        self.tally.violations += [f"two processes: {double}" for double in watch.doubles]

    # -- requesters ----------

    def _repeat(self, act: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self.over.is_set():
            act(chance)
            time.sleep(chance.uniform(0, 0.3))

    def _request(self, chance: random.Random) -> None:
        action = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        name = chance.choice(list(self.vms))
        before = living([self.vms[name]])[self.vms[name]]
        began = time.monotonic()
        code = self._ask(action, name)
        took = time.monotonic() - began
        self.tally.longest = max(self.tally.longest, took)
        self.tally.answers[action.name.lower(), code] += 1
        if took > LONGEST:
            self.tally.violations.append(f"{action.name} {name} took {took:.1f} s")
        if code == "0" and action.kills:
            self._check_dead(f"{action.name} {name}", before)

    def _ask(self, action: Action, name: str) -> str:
        try:
            return str(ask_tcp(self.daemon.where, signed(SECRET, action, name), SECRET).code)
        except PeerClosed:
            return "closed"
        except OSError as error:
            time.sleep(0.1)  # the daemon is being started again
            return type(error).__name__

    def _check_dead(self, request: str, before: set[Process]) -> None:
        """What ran before the request must be gone when its success arrives: now, not soon."""
        left = {process for processes in living(self.vms.values()).values() for process in processes} & before
        if left:
            self.tally.violations.append(f"{request} was answered with success while {sorted(left)} lives")

    # -- trouble ----------

    def _trouble(self) -> None:
        kinds: list[tuple[Callable[[str], None], int]] = [
            (self._virsh_start, 10),
            (self._virsh_destroy, 6),
            (self._pause, 8),
            (self._save, 6),
            (self._stop_process, 5),
            (self._kill_process, 5),
            (self._reset, 3),
            (self._rename, 4),
            (self._undefine, 3),
            (self._create_anew, 6),
            (self._leave_early, 8),
            (self._freeze_daemon, 2),
            (self._freeze_libvirtd, 1),
            (self._kill_daemon, 2),
            (self._kill_libvirtd, 1),
        ]
        acts, weights = zip(*kinds, strict=True)
        while not self.over.is_set():
            act = self.chance.choices(acts, weights)[0]
            with contextlib.suppress(libvirt.libvirtError, OSError):
                act(self.chance.choice(list(self.vms)))
                self.tally.troubles[act.__name__.strip("_")] += 1
            time.sleep(self.chance.uniform(0, 0.4))
        self.libvirtd.revive()

    @contextlib.contextmanager
    def _domain(self, name: str) -> Iterator[libvirt.virDomain]:
        conn = libvirt.open(self.libvirtd.uri)
        try:
            yield conn.lookupByUUIDString(self.vms[name])
        finally:
            conn.close()

    def _virsh_start(self, name: str) -> None:
        with self._domain(name) as domain:
            domain.create()

    def _virsh_destroy(self, name: str) -> None:
        with self._domain(name) as domain:
            domain.destroy()

    def _pause(self, name: str) -> None:
        with self._domain(name) as domain:
            domain.suspend()

    def _save(self, name: str) -> None:
        with self._domain(name) as domain:
            domain.managedSave()

    def _stop_process(self, name: str) -> None:
        """A QEMU that hangs for a while."""
        for pid, _ in living([self.vms[name]])[self.vms[name]]:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.chance.uniform(0.1, 1.0))
            os.kill(pid, signal.SIGCONT)

    def _kill_process(self, name: str) -> None:
        for pid, _ in living([self.vms[name]])[self.vms[name]]:
            os.kill(pid, signal.SIGKILL)

    def _reset(self, name: str) -> None:
        with self._domain(name) as domain:
            domain.reset(0)

    def _rename(self, name: str) -> None:
        """Of a machine that is off: for a moment its name is nobody's."""
        with self._domain(name) as domain:
            domain.rename(f"{name}-renamed", 0)
            time.sleep(self.chance.uniform(0, 0.5))
            while domain.name() != name:
                with contextlib.suppress(libvirt.libvirtError):  # somebody has started it by its UUID
                    domain.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    domain.rename(name, 0)

    def _undefine(self, name: str) -> None:
        """A running machine becomes transient for a moment."""
        with self._domain(name) as domain:
            xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            if domain.isActive() and domain.isPersistent():
                domain.undefine()
                time.sleep(self.chance.uniform(0, 0.5))
                domain.connect().defineXML(xml)

    def _create_anew(self, name: str) -> None:
        """A transient machine is made from outside, as its administrator does after a fence."""
        conn = libvirt.open(self.libvirtd.uri)
        try:
            if int(name.removeprefix("besieged")) >= PERSISTENT:
                conn.createXML(guest_xml(name, self.vms[name]))
        finally:
            conn.close()

    def _leave_early(self, name: str) -> None:
        """A requester that waits for nothing."""
        action = self.chance.choice([Action.OFF, Action.REBOOT, Action.ON])
        with contextlib.suppress(PeerClosed), connect(self.daemon.where, SECRET) as peer:
            peer.send(signed(SECRET, action, name))
            if self.chance.random() < 0.7:
                peer.handshake()
            time.sleep(self.chance.choice([0, 0.002, 0.01, 0.1]))

    def _freeze_daemon(self, _name: str) -> None:
        pid = self.daemon.process.pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.5, 3))
        os.kill(pid, signal.SIGCONT)

    def _freeze_libvirtd(self, _name: str) -> None:
        """Also for longer than the daemon's connections bear."""
        with self.libvirtd.frozen():
            time.sleep(self.chance.uniform(0.5, 6))

    def _kill_daemon(self, _name: str) -> None:
        """No chance to end in order: what it wrote is all that the next one knows."""
        self.daemon.process.stop(signal.SIGKILL)
        self.daemon.process.start()

    def _kill_libvirtd(self, _name: str) -> None:
        self.libvirtd.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.libvirtd.start()


@contextlib.contextmanager
def besieged(libvirtd: Libvirtd, folder: Path, seed: int) -> Iterator[Siege]:
    """A daemon and its guests, before the siege."""
    vms = {
        f"besieged{n}": libvirtd.run(f"besieged{n}", transient=n >= PERSISTENT) for n in range(PERSISTENT + TRANSIENT)
    }
    with DaemonProcess(folder, uri=libvirtd.uri) as daemon:
        daemon.process.wait_for_tcp(daemon.port)
        try:
            yield Siege(libvirtd, daemon, vms, random.Random(seed))
        finally:
            for vm in vms.values():
                libvirtd.discard(vm)
