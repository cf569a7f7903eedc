"""A libvirt that accepts connections and never answers; one that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.hypervisor import MISSED, DomainEvent, HypervisorUnreachable
from fencebus_agent.libvirt_driver import LibvirtHypervisor, link
from fencebus_schemas.model import Uuid
from tests.components import require_program
from tests.elapsed import Stopwatch
from tests.hypervisors import EMPTY_TEST_WORLD, HOST, INCARNATION, allow, eventually, one_run, soon

VM = Uuid("00000000-0000-0000-0000-0000000000aa")


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that accepts and says nothing."""
    require_program("libvirtd", "libvirt-daemon-system")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        listener.setblocking(False)
        yield listener


def is_closed(conn: libvirt.virConnect) -> bool:
    """libvirt knows no such connection any more."""
    try:
        conn.isAlive()
    except libvirt.libvirtError:
        return True
    return False


@contextlib.asynccontextmanager
async def driving(path: Path) -> AsyncIterator[LibvirtHypervisor]:
    """A driver that does not wait until it is connected."""
    hypervisor = LibvirtHypervisor(f"qemu+unix:///system?socket={path}", HOST, INCARNATION)
    try:
        async with one_run(hypervisor):
            yield hypervisor
    finally:
        await hypervisor.close()


async def test_an_open_that_hangs_is_tried_again_beside_it_but_not_for_ever(
    deaf: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "OPEN_PATIENCE", 0.05)
    accepted: list[socket.socket] = []

    def accept() -> bool:
        with contextlib.suppress(BlockingIOError):
            accepted.append(deaf.accept()[0])
        return len(accepted) == link.HUNG_OPENS

    async with driving(tmp_path / "sock") as hypervisor:
        await eventually(accept)
        await asyncio.sleep(0.3)
        accept()
        assert len(accepted) == link.HUNG_OPENS
        with pytest.raises(HypervisorUnreachable):
            await hypervisor.list(soon(0.1))
        watch = Stopwatch()
    assert watch.undisturbed < 1
    for connection in accepted:
        connection.close()
    await asyncio.sleep(0.1)


async def test_without_libvirt_every_call_ends_at_its_deadline(tmp_path: Path) -> None:
    async with driving(tmp_path / "nothing") as hypervisor:
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: hypervisor.find(VM, soon(0.1)),
            lambda: hypervisor.power_off(VM, soon(0.1), allow),
            lambda: hypervisor.power_on(VM, soon(0.1), allow),
            lambda: hypervisor.devices(soon(0.1)),
            lambda: hypervisor.wait_ready(soon(0.1)),
        )
        for call in calls:
            watch = Stopwatch()
            with pytest.raises(HypervisorUnreachable, match="until the deadline"):
                await call()
            assert watch.undisturbed < 1
        assert hypervisor.neighbours() == []
        assert hypervisor.name.endswith("nothing")


async def test_a_link_that_runs_again_has_one_connection_for_events_and_tells_that_some_were_missed(
    tmp_path: Path,
) -> None:
    """As after a failure of the router: of two connections each event would come twice."""
    (tmp_path / "world.xml").write_text(EMPTY_TEST_WORLD)
    hypervisor = LibvirtHypervisor(f"test://{tmp_path}/world.xml", HOST, INCARNATION)
    async with one_run(hypervisor):
        await hypervisor.wait_ready(soon())
        await hypervisor.look(VM, soon())
    first, heard = hypervisor.link._events, list[DomainEvent]()
    assert first is not None
    hypervisor.subscribe(heard.append)
    async with one_run(hypervisor):
        await eventually(lambda: hypervisor.link._events not in (first, None))
        assert heard == [DomainEvent(VM, MISSED)]
        await eventually(lambda: is_closed(first))
    await hypervisor.close()
