"""The serial listener on real Unix sockets: guests that come and go, and daemons that restart."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import EventSink, HypervisorUnreachable
from fencebus_host.listeners.line_socket import listening_socket
from fencebus_host.listeners.serial import SerialListener
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import VmState
from fencebus_schemas.xvm import ACTION_OFF, ACTION_ON, ACTION_REBOOT, ACTION_STATUS, REPLY_OFF, REPLY_SUCCESS
from tests.elapsed import Stopwatch
from tests.host_agent.listeners.guest_ends import GuestEnd, LineWorld, QemuSocket, settings, uuid_of
from tests.hypervisors import eventually


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_guest_fences_another_one_over_its_line(world: LineWorld) -> None:
    socket = await world.guest(1)
    target = world.add(2)
    async with world.listening():
        end = await socket.adopted()
        assert await end.ask(ACTION_STATUS, "guest2") == REPLY_SUCCESS
        assert await end.ask(ACTION_OFF, "guest2") == REPLY_SUCCESS
        assert await end.ask(ACTION_STATUS, target) == REPLY_OFF
        assert await end.ask(ACTION_ON, target) == REPLY_SUCCESS
        assert await end.ask(ACTION_REBOOT, target) == REPLY_SUCCESS
        assert await end.ask(ACTION_STATUS, "guest2") == REPLY_SUCCESS


async def test_a_guest_that_starts_later_is_adopted_at_once(world: LineWorld) -> None:
    async with world.listening():
        await asyncio.sleep(0.1)
        watch = Stopwatch()
        end = await (await world.guest(1)).adopted()
        assert watch.undisturbed < 1.0
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


async def test_a_line_that_is_hot_plugged_is_adopted_and_dropped_when_it_is_unplugged(world: LineWorld) -> None:
    socket = await world.guest(1)
    world.add(1)
    async with world.listening():
        await asyncio.sleep(0.1)
        assert socket.connections == 0
        world.add(1, lines=(world.line(1),))
        end = await socket.adopted()
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        world.add(1)
        assert await end.reader.read() == b""


async def test_the_line_of_a_guest_that_stops_is_closed(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        world.hypervisor.happen(uuid_of(1), VmState.OFF)
        assert await end.reader.read() == b""
        world.hypervisor.happen(uuid_of(1), VmState.RUNNING)
        assert await (await socket.adopted()).ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


async def test_the_line_of_a_guest_that_migrates_away_is_closed(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        world.hypervisor.undefine(uuid_of(1))
        assert await end.reader.read() == b""


async def test_a_line_that_breaks_is_connected_again(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        (await socket.adopted()).hang_up()
        end = await socket.adopted()
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


async def test_a_line_that_ends_at_once_each_time_makes_no_busy_loop(world: LineWorld) -> None:
    """C's daemon takes a whole core after an end of file (facts: fence-virt 6.3, 31)."""
    socket = await world.guest(1)

    async def refuse() -> None:
        while True:
            (await socket.ends.get()).writer.close()

    async with world.listening():
        refusing = asyncio.create_task(refuse())
        await asyncio.sleep(0.2)
        began, connections = time.process_time(), socket.connections
        await asyncio.sleep(2.0)
        refusing.cancel()
        assert time.process_time() - began < 0.2
        assert socket.connections - connections <= 4


async def worked_within(seconds: float) -> float:
    """The seconds of a processor that this process takes meanwhile."""
    began = time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - began


async def test_an_idle_listener_takes_no_time(world: LineWorld) -> None:
    sockets = [await world.guest(number) for number in range(1, 21)]
    async with world.listening():
        for socket in sockets:
            await socket.adopted()
        # The least of three: a collection of this process' garbage may fall into one of them.
        assert min([await worked_within(0.4) for _ in range(3)]) < 0.012


async def test_where_qemu_connects_the_daemon_listens_before_the_guest_starts(world: LineWorld) -> None:
    line = world.line(1, daemon_listens=True)
    world.add(1, VmState.OFF, (line,))
    async with world.listening():
        await eventually(Path(line.path).is_socket)
        world.hypervisor.happen(uuid_of(1), VmState.RUNNING)
        end = GuestEnd(*await asyncio.open_unix_connection(line.path))
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        end.hang_up()
        again = GuestEnd(*await asyncio.open_unix_connection(line.path))
        assert await again.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
    assert await again.reader.read() == b""
    again.hang_up()


async def test_the_socket_of_a_daemon_that_was_killed_is_replaced_but_no_other_file(world: LineWorld) -> None:
    path = world.folder / "line"
    listening_socket(path).close()
    with listening_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == world.folder.stat().st_gid
    path.unlink()
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        listening_socket(path)
    assert path.read_text() == "precious"


async def test_a_path_too_long_for_a_socket_is_said_and_harms_no_other_line(
    world: LineWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world.add(1, lines=(replace(world.line(1), path="/" + "x" * 107),))
    socket = await world.guest(2)
    async with world.listening():
        assert await (await socket.adopted()).ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        await eventually(lambda: "at most 107 bytes" in caplog.text)


class Silent:
    """A hypervisor that never answers."""

    name = "silent:///"

    async def devices(self, deadline: Deadline) -> list[GuestDevices]:
        await asyncio.sleep(min(0.2, deadline.remaining()))
        raise HypervisorUnreachable(self.name, "no answer")

    def subscribe(self, sink: EventSink) -> None:
        self.sink = sink


async def test_a_silent_hypervisor_hides_no_other_ones_guests(
    world: LineWorld, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await world.guest(1)
    listener = SerialListener(settings(), [Silent(), world.hypervisor], world.refusals)
    serving = asyncio.create_task(listener.serve(world.service.handle, lambda: None))
    assert await (await socket.adopted()).ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
    await eventually(lambda: "silent:///: no answer" in caplog.text)
    serving.cancel()
    await asyncio.wait({serving})


async def test_a_hypervisor_that_is_away_keeps_its_lines(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        world.hypervisor.unreachable = True
        world.add(2)
        await asyncio.sleep(0.2)
        world.hypervisor.unreachable = False
        assert await end.ask(ACTION_STATUS, "guest2") == REPLY_SUCCESS


async def test_two_hundred_guests_are_adopted_within_two_seconds(world: LineWorld) -> None:
    sockets = [await world.guest(number) for number in range(1, 201)]
    watch = Stopwatch()
    async with world.listening():
        ends = [await socket.adopted() for socket in sockets]
        assert watch.undisturbed < 2.0
        assert await ends[-1].ask(ACTION_STATUS, "guest7") == REPLY_SUCCESS


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many open files as the system allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_lines_are_open_at_once_and_all_answered(world: LineWorld) -> None:
    """C's daemon cannot: select() ends at descriptor 1023."""
    before = open_descriptors()
    sockets = [await world.guest(number) for number in range(1, 1001)]
    async with world.listening():
        ends = [await socket.adopted(20) for socket in sockets]
        # A socket that listens, its connection, and the daemon's end of it.
        assert open_descriptors() - before <= 3 * 1000 + 10
        codes = await asyncio.gather(*(end.ask(ACTION_STATUS, "guest1", 30) for end in ends))
        assert set(codes) == {REPLY_SUCCESS}
    for end in ends:
        end.hang_up()
    await eventually(lambda: open_descriptors() - before <= 1000 + 10)


async def test_lines_that_come_and_go_leave_no_descriptor_behind(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        before = open_descriptors()
        for _ in range(10):
            end.hang_up()
            world.hypervisor.happen(uuid_of(1), VmState.OFF)
            await asyncio.sleep(0.1)
            world.hypervisor.happen(uuid_of(1), VmState.RUNNING)
            end = await socket.adopted()
            assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        await eventually(lambda: open_descriptors() == before)


async def test_a_listener_that_starts_again_adopts_every_line_anew(world: LineWorld) -> None:
    """A reload, or a daemon that was killed: QEMU keeps the socket, and takes the next one who connects."""
    socket: QemuSocket = await world.guest(1)
    for _ in range(3):
        async with world.listening():
            end = await socket.adopted()
            assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        assert await end.reader.read() == b""
