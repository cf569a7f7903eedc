"""Measures what it costs to know 1,000 hosts with 100 VMs each: `python -m tests.bench.ownership [--hosts N --vms N]`.

The inventories are made by one process and learnt by another, so that only what is known counts as memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from fencebus_host.effects import Kept
from fencebus_host.ownership import Ownership
from fencebus_host.picture import Picture
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState
from fencebus_schemas.peer import Change, Inventory, Message
from fencebus_schemas.peer_codec import decode, encode
from tests.bench.goals import Goal
from tests.bench.tables import goals_table, table

KEYS = (b"the bench's key",)
MOST_MEGABYTES = 150.0
MOST_SECONDS = 20.0
MOST_CHANGE_MICROSECONDS = 1000.0
CHANGES = 5000
_LENGTH = struct.Struct("!I")


def main() -> int:
    """Measure and print; returns 0 if every goal is reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ownership", description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--vms", type=int, default=100)
    parser.add_argument("--learn", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        return _learn(options.learn)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        _tell(told, options.hosts, options.vms)
        learner = (sys.executable, "-m", "tests.bench.ownership", "--learn", str(told))
        return subprocess.run(learner, check=False).returncode


# -- what hosts say ----------


def _name(number: int) -> HostId:
    return HostId(f"host-{number:04d}.rack")


def _host(number: int) -> Ownership:
    parts = (uuid.uuid5(uuid.NAMESPACE_OID, f"{part}{number}") for part in ("boot", "machine", "nonce"))
    return Ownership(_name(number), Incarnation(*(str(part) for part in parts)))


def _record(host: int, vm: int, state: VmState = VmState.RUNNING) -> VmRecord:
    mark = uuid.uuid5(uuid.NAMESPACE_OID, f"{host}/{vm}")
    nobody = Incarnation("b", "m", "n")
    return VmRecord(Uuid(str(mark)), f"customer-{host:04d}-node-{vm:03d}", state, _name(host), nobody)


def _tell(path: Path, hosts: int, vms: int) -> None:
    """Write every host's inventory, then changes of some of their VMs."""
    members = tuple(_name(number) for number in range(hosts))
    with path.open("wb") as file:
        changes = list[Message]()
        for number in range(hosts):
            host = _host(number)
            host.members_told(members, (), 0.0)
            host.own_inventory([_record(number, vm) for vm in range(vms)], 0.0)
            _put(file.write, host.inventory_for(HostId("me")))
            for turn in range(max(CHANGES // hosts, 1)):
                heard = host.own_change(_record(number, turn % vms, VmState.PAUSED), False, 0.0)
                changes += heard.replies
        for change in changes:
            _put(file.write, change)


def _put(write: Callable[[bytes], object], message: Message) -> None:
    data = encode(message, KEYS)
    write(_LENGTH.pack(len(data)) + data)


def _messages(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            yield file.read(*_LENGTH.unpack(head))


# -- what one host learns ----------


def _learn(path: Path) -> int:
    me = _host(10_000_000)
    before, began = _megabytes(), time.perf_counter()
    changing = 0.0
    inventories, changes = 0, 0
    for data in _messages(path):
        start = time.perf_counter()
        message = decode(data, KEYS)
        if isinstance(message, Inventory):
            me.inventory_heard(message, 0.0)
            inventories += 1
        elif isinstance(message, Change):
            me.change_heard(message, 0.0)
            changing += time.perf_counter() - start
            changes += 1
    learning, grown = time.perf_counter() - began - changing, _megabytes() - before
    known = sum(1 for _ in me.everything())
    change = changing / changes
    rows = [
        ("hosts", f"{inventories}"),
        ("VMs", f"{known}"),
        ("memory for all of them", f"{grown:.0f} MB"),
        ("time to verify, read and learn all", f"{learning:.2f} s"),
        ("one change, verified, read and learnt", f"{1e6 * change:.0f} µs"),
        *_small_costs(me),
        *asyncio.run(_disk_costs(me)),
    ]
    print(table(("ownership", "measured"), rows))
    goals = (
        Goal("memory", grown, MOST_MEGABYTES, " MB"),
        Goal("learning", learning, MOST_SECONDS, " s"),
        Goal("one change", 1e6 * change, MOST_CHANGE_MICROSECONDS, " µs"),
    )
    print(f"\n{goals_table(goals)}")
    return 0 if all(goal.met for goal in goals) else 1


def _small_costs(me: Ownership) -> Iterator[tuple[str, str]]:
    """What is done often."""
    record = _record(0, 0)
    yield "one change of one's own, told and digested", _microseconds(lambda: me.own_change(record, False, 0.0))
    other = _host(1)
    announce = other.announce("token")
    yield "one heartbeat heard", _microseconds(lambda: me.announce_heard(announce, 0.0))
    yield "one heartbeat made, digests and all", _microseconds(lambda: me.announce("token"))
    yield "the claimants of one VM", _microseconds(lambda: me.claimants(record.uuid))
    stranger = iter(range(10**6))
    yield (
        "one more member, and the digest of all",
        _microseconds(
            lambda: (me.members_told((HostId(f"stranger-{next(stranger)}"),), (), 0.0), me.members_digest), 20
        ),
    )


async def _disk_costs(me: Ownership) -> list[tuple[str, str]]:
    """Keeping all of it, and reading it again."""
    records = list[Kept]()
    learner = _host(20_000_000)
    for host in sorted({record.host for record in me.everything()}):
        had = tuple(record for record in me.everything() if record.host == host) if len(records) < 20 else ()
        if had:
            message = Inventory(host, had[0].incarnation, HostId(""), 1, "", had, (), ())
            records += learner.inventory_heard(message, 0.0).keep
    with tempfile.TemporaryDirectory() as folder:
        picture = Picture(Path(folder))
        await picture.open()
        began = time.perf_counter()
        await asyncio.gather(*(picture.keep(record) for record in records))
        writing = time.perf_counter() - began
        await picture.close()
        again = Picture(Path(folder))
        began = time.perf_counter()
        memory = await again.open()
        reading = time.perf_counter() - began
        await again.close()
    count = len(memory.past.pictures)
    return [
        ("one host's inventory kept on disk", f"{1000 * writing / count:.1f} ms"),
        ("one host's inventory read at the start", f"{1000 * reading / count:.2f} ms"),
    ]


def _microseconds(act: Callable[[], object], times: int = 2000) -> str:
    began = time.perf_counter()
    for _ in range(times):
        act()
    return f"{1e6 * (time.perf_counter() - began) / times:.1f} µs"


def _megabytes() -> float:
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main())
