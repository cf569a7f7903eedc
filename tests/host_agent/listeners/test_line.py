"""One line: rubbish, half requests, guests that do not read, guests that flood, and their neighbours meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
import time

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.listeners import line
from fencebus_host.ports import Answer, Wanted
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, Uuid, VmState
from fencebus_schemas.xvm import (
    ACTION_LIST,
    ACTION_MONITOR,
    ACTION_NULL,
    ACTION_OFF,
    ACTION_REBOOT,
    ACTION_STATUS,
    REPLY_FAILURE,
    REPLY_LIST,
    REPLY_OFF,
    REPLY_SUCCESS,
)
from tests.elapsed import Stopwatch
from tests.host_agent.listeners.guest_ends import GuestEnd, LineWorld, request, settings, uuid_of
from tests.hypervisors import eventually


def add_many(world: LineWorld, count: int) -> None:
    for number in range(1000, 1000 + count):
        world.hypervisor.define(MemoryVm(uuid_of(number), f"a-long-name-of-a-virtual-machine-{number}"))


async def slowest_status(end: GuestEnd, seconds: float) -> float:
    """The longest wait of a guest that asks for a status again and again."""
    slowest, limit = 0.0, time.monotonic() + seconds
    while time.monotonic() < limit:
        watch = Stopwatch()
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS
        slowest = max(slowest, watch.undisturbed)
        await asyncio.sleep(0.01)
    return slowest


async def test_each_action_gets_the_code_that_c_gives_it(world: LineWorld) -> None:
    socket = await world.guest(1)
    world.add(2, VmState.OFF)
    async with world.listening():
        end = await socket.adopted()
        assert await end.ask(ACTION_MONITOR) == REPLY_SUCCESS
        assert await end.ask(ACTION_NULL, "guest1") == REPLY_FAILURE
        assert await end.ask(ACTION_STATUS, "guest2") == REPLY_OFF
        assert await end.ask(ACTION_STATUS, "nobody") == REPLY_FAILURE
        assert await end.ask(ACTION_OFF, "nobody") == REPLY_FAILURE


async def test_a_list_leaves_nothing_on_the_line_for_the_next_program(world: LineWorld) -> None:
    """C writes a second reply behind a list; the next one who asks may take its success for a fence."""
    socket = await world.guest(1)
    world.add(2, VmState.OFF)
    async with world.listening():
        end = await socket.adopted()
        end.write(request(ACTION_LIST))
        reply = await end.reply()
        assert reply.code == REPLY_LIST
        assert [(record.name, record.state) for record in reply.records] == [("guest1", 1), ("guest2", 5)]
        assert await end.is_silent()


@pytest.mark.parametrize(
    "rubbish",
    (
        pytest.param(b"\r\nDebian GNU/Linux 12 node1 ttyS1\r\n\r\nnode1 login: ", id="a login prompt"),
        pytest.param(b"abba" * 20, id="a magic without a request"),
        pytest.param(b"ab", id="half a magic"),
        pytest.param(request(ACTION_STATUS, "guest1")[:40], id="half a request"),
        pytest.param(b"\x00" * 500, id="NULs"),
    ),
)
async def test_a_request_behind_rubbish_is_found(world: LineWorld, rubbish: bytes) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        end.write(rubbish)
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


@pytest.mark.parametrize("length", (1, 4, 5, 40, 69, 70, 72, 73))
async def test_half_a_request_of_a_dead_program_does_not_eat_the_next_one(
    world: LineWorld, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PARTIAL_SECONDS", 0.1)
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        end.write(request(ACTION_OFF, "guest1")[:length])
        await asyncio.sleep(0.3)
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


async def test_a_request_that_arrives_in_pieces_is_one_request(world: LineWorld) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        for byte in request(ACTION_STATUS, "guest1"):
            end.write(bytes((byte,)))
            await asyncio.sleep(0.001)
        assert (await end.reply()).code == REPLY_SUCCESS


class Slow:
    """A service whose answers the test releases."""

    def __init__(self) -> None:
        self.received: list[FenceRequest] = []
        self.wanted: list[Wanted] = []
        self.go = asyncio.Event()

    async def handle(self, request: FenceRequest, wanted: Wanted) -> Answer:
        self.received.append(request)
        self.wanted.append(wanted)
        await self.go.wait()
        reason = Reason.STATUS_OFF if request.action is Action.STATUS else Reason.PROVEN_OFF
        return Answer(FenceOutcome(request.id, True, reason))


async def test_only_the_newest_request_gets_a_reply_and_the_older_one_is_no_more_wanted(world: LineWorld) -> None:
    """A reply carries no number: that of the first could be taken for that of the second (facts: 6.1, 13)."""
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        end.write(request(ACTION_OFF, "guest7"))
        await eventually(lambda: len(slow.received) == 1)
        assert slow.wanted[0]()
        end.write(request(ACTION_STATUS, "guest8"))
        await eventually(lambda: len(slow.received) == 2)
        assert [wanted() for wanted in slow.wanted] == [False, True]
        slow.go.set()
        assert (await end.reply()).code == REPLY_OFF
        assert await end.is_silent()


async def test_the_same_request_again_is_answered_once(world: LineWorld) -> None:
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        asked = request(ACTION_OFF, "guest7")
        end.write(asked + asked)
        await eventually(lambda: len(slow.received) == 1)
        end.write(asked)
        await asyncio.sleep(0.1)
        slow.go.set()
        assert (await end.reply()).code == REPLY_SUCCESS
        assert await end.is_silent()
        assert len(slow.received) == 1


async def test_the_source_of_a_request_is_the_guest_whose_line_it_is(world: LineWorld) -> None:
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        end.write(request(ACTION_REBOOT, "guest7"))
        await eventually(lambda: bool(slow.received))
        source = slow.received[0].source
        assert (source.text, source.vm, source.vm_name, source.known) == (uuid_of(1), uuid_of(1), "guest1", True)
        assert slow.received[0].via == "serial"


async def test_a_guest_whose_line_ends_does_not_want_its_answer_any_more(world: LineWorld) -> None:
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        end.write(request(ACTION_OFF, "guest7"))
        await eventually(lambda: bool(slow.received))
        end.hang_up()
        await eventually(lambda: not slow.wanted[0]())
        slow.go.set()


async def test_a_new_question_ends_the_one_that_waits_and_few_are_in_hand_at_once(world: LineWorld) -> None:
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        for number in range(30):
            end.write(request(ACTION_OFF, f"guest{number}"))
            await asyncio.sleep(0.005)
        await eventually(lambda: len(slow.received) == line.MOST_AT_ONCE)
        slow.go.set()
        await eventually(lambda: len(slow.received) == line.MOST_AT_ONCE + 1)
        assert slow.received[-1].target == "guest29"
        assert (await end.reply()).code == REPLY_SUCCESS
        assert await end.is_silent()


async def test_a_hundred_questions_without_waiting_get_one_answer(world: LineWorld) -> None:
    slow, socket = Slow(), await world.guest(1)
    async with world.listening(handle=slow.handle):
        end = await socket.adopted()
        end.write(b"".join(request(ACTION_STATUS, f"guest{number}") for number in range(100)))
        await eventually(lambda: bool(slow.received) and slow.received[-1].target == "guest99")
        assert len(slow.received) <= 5
        slow.go.set()
        assert (await end.reply()).code == REPLY_OFF
        assert await end.is_silent()


async def test_a_guest_that_stops_reading_in_the_middle_of_a_long_list_delays_nobody(world: LineWorld) -> None:
    deaf_socket, other_socket = await world.guest(1), await world.guest(2)
    add_many(world, 500)
    async with world.listening():
        deaf, other = await deaf_socket.adopted(), await other_socket.adopted()
        for _ in range(20):  # 1.3 MB of lists that nobody reads
            deaf.write(request(ACTION_LIST))
            await asyncio.sleep(0.02)
        assert await slowest_status(other, 1.0) < 0.25
        deaf.hang_up()


async def test_after_an_unread_list_the_line_works_again(world: LineWorld) -> None:
    socket = await world.guest(1)
    add_many(world, 500)
    async with world.listening():
        end = await socket.adopted()
        for _ in range(10):
            end.write(request(ACTION_LIST))
            await asyncio.sleep(0.02)
        while not await end.is_silent(1.0):  # the next program finds what was left, and throws it away
            await end.reader.read(1 << 20)
        assert await end.ask(ACTION_STATUS, "guest1") == REPLY_SUCCESS


@pytest.mark.parametrize(
    "rubbish",
    (
        pytest.param(random.Random(7).randbytes(4096), id="random"),
        pytest.param(b"abba" * 1024, id="magic after magic"),
        pytest.param(request(ACTION_STATUS, "guest1") * 55, id="the same request"),
        pytest.param(b"".join(request(ACTION_LIST) for _ in range(55)), id="lists"),
    ),
)
async def test_a_flood_on_one_line_delays_no_other(
    world: LineWorld, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    flooded, quiet = await world.guest(1), await world.guest(2)
    async with world.listening():
        flooder, other = await flooded.adopted(), await quiet.adopted()

        async def flood() -> None:
            while True:
                flooder.write(rubbish)
                await flooder.writer.drain()

        flooding = asyncio.create_task(flood())
        slowest = await slowest_status(other, 2.0)
        flooding.cancel()
        flooder.hang_up()
        assert slowest < 0.25
    lines = [record for record in caplog.records if "flood" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].levelno == logging.WARNING
    assert uuid_of(1) in lines[0].getMessage()


async def test_rubbish_is_told_once_with_its_guest(world: LineWorld, caplog: pytest.LogCaptureFixture) -> None:
    socket = await world.guest(1)
    async with world.listening():
        end = await socket.adopted()
        for _ in range(50):
            end.write(b"nonsense" * 10)
            await asyncio.sleep(0.002)
    told = [record.getMessage() for record in caplog.records if "reason=noise" in record.getMessage()]
    assert len(told) == 1
    assert f"source={uuid_of(1)} via=serial" in told[0]


async def test_a_second_request_does_not_wait_for_the_first_one_on_another_vm(world: LineWorld) -> None:
    first, second = await world.guest(1), await world.guest(2)
    slow: Uuid = world.add(3)
    world.add(4)
    world.hypervisor.faults(slow).exit_takes = 1.0
    async with world.listening():
        one, two = await first.adopted(), await second.adopted()
        one.write(request(ACTION_OFF, "guest3"))
        await asyncio.sleep(0.05)
        watch = Stopwatch()
        assert await two.ask(ACTION_OFF, "guest4") == REPLY_SUCCESS
        assert watch.undisturbed < 0.5
        assert (await one.reply()).code == REPLY_SUCCESS


async def test_a_request_is_answered_by_its_deadline(world: LineWorld) -> None:
    socket = await world.guest(1)
    world.add(2)
    world.hypervisor.faults(uuid_of(2)).survives_kill = True
    from dataclasses import replace

    async with world.listening(replace(settings(), request_timeout=1.0)):
        end = await socket.adopted()
        watch = Stopwatch()
        assert await end.ask(ACTION_OFF, "guest2") == REPLY_FAILURE
        assert watch.seconds > 0.8
        assert watch.undisturbed < 2.5
