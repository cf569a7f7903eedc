"""Those who wait for a bus to take a command."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.bus import Address, BusClosed, BusMessage, BusRefused, Priority
from fencebus_agent.outbox import Fate, Outbox, Parcel
from fencebus_agent.promises import Promises
from fencebus_schemas.deadline import Deadline


def command(seconds: float) -> Parcel:
    promise = asyncio.get_running_loop().create_future()
    return Parcel(Address("x", "k"), BusMessage(b"1"), Deadline.after(seconds), Priority.COMMAND, promise)


async def test_a_command_that_is_taken_is_a_promise_kept() -> None:
    box, promises, parcel = Outbox(), Promises(), command(60.0)
    box.put(parcel)
    waiting = asyncio.create_task(promises.kept(box, parcel))
    await asyncio.sleep(0)
    assert box.take() is parcel
    box.settle(parcel)
    assert not promises.settle(parcel, None)
    assert not promises.settle(parcel, BusRefused("bus", "too late to refuse it"))
    assert await waiting is None


async def test_what_the_broker_refuses_is_raised() -> None:
    box, promises, parcel = Outbox(), Promises(), command(60.0)
    waiting = asyncio.create_task(promises.kept(box, parcel))
    await asyncio.sleep(0)
    promises.settle(parcel, BusRefused("bus", "no"))
    with pytest.raises(BusRefused):
        await waiting


@pytest.mark.parametrize("written", (False, True))
async def test_at_its_deadline_a_command_is_given_up_and_what_had_become_of_it_is_told(written: bool) -> None:
    box, promises, parcel = Outbox(), Promises(), command(0.01)
    box.put(parcel)
    if written:
        box.take()
    assert await promises.kept(box, parcel) is (Fate.WRITTEN if written else Fate.WAITING)
    assert parcel.given_up
    assert box.take() is None


async def test_whoever_waits_no_more_leaves_nothing_to_be_sent() -> None:
    box, promises, parcel = Outbox(), Promises(), command(60.0)
    box.put(parcel)
    waiting = asyncio.create_task(promises.kept(box, parcel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert box.take() is None


async def test_at_the_end_every_promise_is_broken() -> None:
    box, promises = Outbox(), Promises()
    waiting = [asyncio.create_task(promises.kept(box, command(60.0))) for _ in range(2)]
    await asyncio.sleep(0)
    promises.break_all(BusClosed("bus", "closed"))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in results] == [BusClosed, BusClosed]


async def test_an_indication_is_lost_if_it_is_not_taken() -> None:
    promises = Promises()
    parcel = Parcel(Address("x", "k"), BusMessage(), Deadline.after(30), Priority.INDICATION, None)
    assert not promises.settle(parcel, None)
    assert promises.settle(parcel, BusRefused("bus", "no"))
