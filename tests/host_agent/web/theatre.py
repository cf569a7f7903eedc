"""A control socket whose state a test sets, and the page's real server in front of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fencebus_host.control import Answers, Question, serve_control
from fencebus_host.control_events import Events
from fencebus_host.control_view import counts
from fencebus_host.web.daemon_source import DaemonSource
from fencebus_host.web.scene import Stage
from fencebus_host.web.server import serve
from fencebus_schemas.status import (
    Claim,
    EventKind,
    FinishedFence,
    Health,
    HostState,
    HostStatus,
    PartStatus,
    Problem,
    RunningFence,
    Status,
    VmStatus,
)
from fencebus_schemas.status_plain import to_plain

NOW = time.time()
HOSTS = tuple(HostStatus(f"host{number}", HostState.HEARD, 0, 0, 1.0, f"b.{number}") for number in range(1, 5))
WORDS = ("web", "db", "mail", "cache", "queue", "build")


def vm(number: int, state: str = "", name: str = "", cluster: str = "") -> VmStatus:
    """The VM with this number, on one of the hosts in turn."""
    host, state = f"host{number % 4 + 1}", state or ("off" if number % 9 == 0 else "running")
    claims = (Claim(host, state, "qemu:///system", number % 7 + 1),)
    uuid = f"{number:08x}-0000-4000-8000-000000000000"
    owner = host if state == "running" else None
    name, cluster = name or f"{WORDS[number % 6]}{number}", cluster or WORDS[number % 6]
    return VmStatus(uuid, name, state, owner, claims, cluster, NOW - 977.0 * number)


def conflicted(number: int) -> VmStatus:
    """A VM that two hosts claim."""
    claims = (Claim("host1", "running", "qemu:///system", 2), Claim("host2", "running", "qemu:///system", 3))
    return replace(vm(number, state="running"), owner=None, claims=claims, troubles=("conflict",))


def status(
    vms: Iterable[VmStatus], running: tuple[RunningFence, ...] = (), finished: tuple[FinishedFence, ...] = ()
) -> Status:
    """A daemon's state, with these VMs."""
    listed = tuple(vms)
    hosts = tuple(
        replace(
            host,
            vms=sum(any(claim.host == host.name for claim in each.claims) for each in listed),
            claims=sum(each.owner == host.name for each in listed),
            state=HostState.HERE if host.name == "host1" else HostState.HEARD,
        )
        for host in HOSTS
    )
    made = Status(1, "host1", 4711, "1.0", None, "qmf", NOW - 86400, NOW, Health.OK, hosts=hosts, vms=listed)
    parts = (PartStatus("router qmf"), PartStatus("listener tcp"), PartStatus("listener multicast:br1"))
    made = replace(made, vms_known=len(listed), states=counts(listed), parts=parts)
    return replace(made, running=running, finished=finished)


def with_silent_host(before: Status, name: str = "host4") -> Status:
    """The same, with a host that has fallen silent."""
    hosts = [
        replace(each, state=HostState.SILENT, heard_ago=22.0) if each.name == name else each for each in before.hosts
    ]
    vms = [replace(each, troubles=("silent-owner",)) if each.owner == name else each for each in before.vms]
    problem = Problem("host-silent", Health.ERROR, f"{name} has not been heard for 22 s; 10 VMs were on it")
    return replace(before, hosts=tuple(hosts), vms=tuple(vms), health=Health.ERROR, problems=(problem,))


def fence(number: int, ok: bool = True) -> FinishedFence:
    """A finished fence."""
    reason, text = (
        ("proven-off", "") if ok else ("host-silent", f"db{number} was last on host4, which is not proven fenced")
    )
    seconds = 0.02 if ok else 25.0
    return FinishedFence(f"{number:032x}", NOW, "reboot", f"db{number}", "db1", "multicast", ok, reason, text, seconds)


def running(number: int) -> RunningFence:
    """One that is not answered yet."""
    return RunningFence(f"{number:032x}", NOW, "off", "db13", "web2", "vsock", 1.5)


@dataclass
class Theatre:
    """What is played; ``set`` changes it."""

    status: Status
    url: str = ""
    events: Events = field(default_factory=lambda: Events(time.time))
    asked: int = 0
    """How often the state was asked for."""

    def set(self, found: Status, text: str = "something happened") -> None:
        """From now on the daemon tells this."""
        self.status = found
        self.events.happened(EventKind.VM_CHANGED, text)

    async def _status(self, _question: Question) -> object:
        self.asked += 1
        return await asyncio.to_thread(to_plain, self.status)

    async def _events(self, question: Question) -> AsyncIterator[object]:
        async for event in self.events.follow(None, int(question.number("most", 0) or 0)):
            yield to_plain(event)

    @property
    def answers(self) -> Answers:
        """For the control socket."""
        return Answers({"status": self._status}, {"events": self._events})


@asynccontextmanager
async def theatre(folder: Path, shown: Status) -> AsyncIterator[Theatre]:
    """The socket and the server."""
    played, ready = Theatre(shown), asyncio.Event()

    def bound(port: int) -> None:
        played.url = f"http://127.0.0.1:{port}/"
        ready.set()

    path = folder / "control.sock"
    daemon = asyncio.create_task(serve_control(path, played.answers, lambda: None))
    server = asyncio.create_task(serve(Stage(DaemonSource(path)), "127.0.0.1", 0, {"localhost"}, bound))
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield played
    finally:
        for task in (server, daemon):
            task.cancel()
        await asyncio.wait({server, daemon})
