"""A serial port of the host, played by a pseudo-terminal, with the client's real codec at the guest's end."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fencebus_host.complaints import Complaints
from fencebus_host.config.load import load_text
from fencebus_host.config.model import SerialSettings, TtySettings
from fencebus_host.config.problems import ConfigError, Where
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.tty import TtyListener, open_port
from fencebus_host.ports import Answer, Wanted
from fencebus_schemas.model import (
    FenceOutcome,
    FenceRequest,
    HostId,
    Incarnation,
    Reason,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.serialline import ReplyReader, SerialRequest

VM = VmRecord(
    Uuid("6695eb01-f6a4-8304-79aa-97f2502e193f"), "node1", VmState.RUNNING, HostId("h"), Incarnation("b", "m", "n")
)


class Guest:
    """The guest's end of the cable."""

    def __init__(self) -> None:
        self._end, held = os.openpty()
        tty.setraw(held)
        self.device = Path(os.ttyname(held))
        self._held = held

    def close(self) -> None:
        os.close(self._end)
        os.close(self._held)

    async def ask(self, data: bytes) -> int | None:
        await asyncio.to_thread(os.write, self._end, data)
        replies = ReplyReader()
        while not replies.done:
            replies.feed(await asyncio.to_thread(os.read, self._end, 4096))
        return replies.code


async def status_on(request: FenceRequest, _wanted: Wanted) -> Answer:
    seen.append(request)
    return Answer(FenceOutcome(request.id, ok=True, reason=Reason.STATUS_ON))


seen: list[FenceRequest] = []


async def find_node1(target: str) -> VmRecord | None:
    return VM if target == "node1" else None


def listener_on(device: Path, vm: str = "node1") -> TtyListener:
    settings = TtySettings(device=device, vm=vm)
    return TtyListener(SerialSettings(tty=settings, where=Where("test")), settings, find_node1, Refusals(Complaints()))


@asynccontextmanager
async def serving(listener: TtyListener) -> AsyncIterator[asyncio.Task[None]]:
    ready = asyncio.Event()
    task = asyncio.create_task(listener.serve(status_on, ready.set))
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def guest() -> Guest:
    return Guest()


async def test_a_guest_at_the_end_of_a_cable_is_answered_as_the_vm_that_the_configuration_names(guest: Guest) -> None:
    seen.clear()
    async with serving(listener_on(guest.device)):
        code = await asyncio.wait_for(guest.ask(b"login: " + SerialRequest(4, "node2", 7).pack()), 30)
    guest.close()
    assert code == 0
    assert seen[0].target == "node2"
    assert (seen[0].source.vm, seen[0].source.known, seen[0].via) == (VM.uuid, True, "serial")


async def test_a_port_whose_other_end_hangs_up_is_an_error_that_the_supervisor_sees(guest: Guest) -> None:
    async with serving(listener_on(guest.device)) as task:
        guest.close()
        with pytest.raises(OSError, match=r"."):
            await asyncio.wait_for(task, 30)


async def test_a_vm_that_nobody_knows_is_an_error_not_an_anonymous_guest(guest: Guest) -> None:
    with pytest.raises(OSError, match="nosuch"):
        await listener_on(guest.device, "nosuch").serve(status_on, lambda: None)
    guest.close()


def test_a_port_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="ttyS99"):
        open_port(TtySettings(device=tmp_path / "ttyS99", vm="node1"))


def test_the_port_is_held_so_that_no_second_daemon_can_take_it(guest: Guest) -> None:
    settings = TtySettings(device=guest.device, vm="node1", speed=9600, data_bits=7, parity="E", stop_bits=2)
    first = open_port(settings)
    with pytest.raises(OSError, match=r"."):
        open_port(settings)
    os.close(first)
    guest.close()


CONF = 'fence_virtd {{ listener = "serial"; backend = "libvirt"; }} listeners {{ serial {{ {keys} }} }}'


def test_the_configuration_names_port_format_and_guest() -> None:
    keys = 'device = "/dev/ttyS0"; params = "9600,7e2"; vm = "node1";'
    (settings,) = load_text(CONF.format(keys=keys), "conf").listeners
    assert isinstance(settings, SerialSettings)
    assert settings.tty == TtySettings(
        device=Path("/dev/ttyS0"), vm="node1", speed=9600, data_bits=7, parity="E", stop_bits=2
    )


@pytest.mark.parametrize(
    ("keys", "complaint"),
    (
        ('device = "/dev/ttyS0";', "`vm` is missing"),
        ('vm = "node1";', "`device` is missing"),
        ('device = "/dev/ttyS0"; vm = "node1"; params = "115200,9N1";', "115200,8N1"),
        ('device = "ttyS0"; vm = "node1";', "device"),
    ),
)
def test_half_a_port_is_refused_with_what_is_missing(keys: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_text(CONF.format(keys=keys), "conf")
