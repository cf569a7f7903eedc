"""The outbox between loop and thread, and the ways between them."""

from __future__ import annotations

import asyncio
import select
import threading
from functools import partial

from fencebus_agent.bus import Address, BusMessage, Priority
from fencebus_agent.kombu_handover import BACKLOG, Handover, Wake
from fencebus_agent.outbox import ROOM, ROOM_BYTES, Fate, Outbox, Parcel
from fencebus_schemas.deadline import Deadline
from tests.hypervisors import eventually

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION


def parcel(text: str, priority: Priority = COMMAND, seconds: float = 60.0) -> Parcel:
    return Parcel(Address("x", "k"), BusMessage(text.encode()), Deadline.after(seconds), priority, None)


def taken(outbox: Outbox) -> list[str]:
    """All that is sent now, one after the other."""
    texts = []
    while (each := outbox.take()) is not None:
        assert each.fate is Fate.WRITTEN
        texts.append(each.message.body.decode())
    return texts


def test_commands_go_first_and_both_keep_their_order() -> None:
    outbox = Outbox()
    for text, priority in (("i1", INDICATION), ("c1", COMMAND), ("i2", INDICATION), ("c2", COMMAND)):
        assert outbox.put(parcel(text, priority))
    assert taken(outbox) == ["c1", "c2", "i1", "i2"]


def test_a_command_that_is_late_or_withdrawn_is_never_sent() -> None:
    outbox = Outbox()
    late, withdrawn = parcel("late", seconds=-1.0), parcel("withdrawn")
    for each in (late, withdrawn, parcel("in time"), parcel("indication", INDICATION, -1.0)):
        outbox.put(each)
    assert outbox.withdraw(withdrawn) is Fate.WAITING
    assert outbox.withdraw(withdrawn) is Fate.WITHDRAWN
    assert taken(outbox) == ["in time", "indication"]
    assert late.fate is Fate.WITHDRAWN


def test_what_comes_back_is_the_next_one_unless_nobody_waits_for_it_any_more() -> None:
    outbox = Outbox()
    for text in "123":
        outbox.put(parcel(text))
    first, second = outbox.take(), outbox.take()
    assert first is not None
    assert second is not None
    assert outbox.withdraw(second) is Fate.WRITTEN
    outbox.give_back(second)
    outbox.give_back(first)
    assert taken(outbox) == ["1", "3"]


def test_indications_are_let_in_until_there_is_no_room_and_commands_always() -> None:
    outbox = Outbox()
    under_way = [parcel(str(number), INDICATION) for number in range(ROOM)]
    assert all(map(outbox.put, under_way))
    assert not outbox.put(parcel("one too many", INDICATION))
    assert outbox.put(parcel("command"))
    assert len(taken(outbox)) == ROOM + 1
    assert not outbox.put(parcel("not before the broker has confirmed some", INDICATION))
    for each in under_way[:2]:
        outbox.settle(each)
        outbox.settle(each)
    assert outbox.put(parcel("room again", INDICATION))
    assert not outbox.put(parcel("and none", INDICATION))


def test_large_bodies_take_the_room_of_many() -> None:
    outbox = Outbox()
    assert outbox.put(parcel("x" * ROOM_BYTES, INDICATION))
    assert not outbox.put(parcel("y", INDICATION))
    assert outbox.drop_indications() == 1
    assert outbox.put(parcel("z", INDICATION))


def test_dropped_indications_leave_the_commands() -> None:
    outbox = Outbox()
    for text, priority in (("i", INDICATION), ("c", COMMAND)):
        outbox.put(parcel(text, priority))
    assert outbox.drop_indications() == 1
    assert taken(outbox) == ["c"]


async def test_calls_of_a_thread_are_made_in_the_loop_in_their_order() -> None:
    handover, called = Handover(asyncio.get_running_loop()), list[int]()
    main = threading.get_ident()

    def call(number: int) -> None:
        assert threading.get_ident() == main
        called.append(number)

    def give() -> None:
        for number in range(1000):
            handover.give(partial(call, number))

    thread = threading.Thread(target=give)
    thread.start()
    await eventually(lambda: len(called) == 1000)
    thread.join()
    assert called == list(range(1000))


async def test_a_loop_that_is_far_behind_is_seen_to_be() -> None:
    handover = Handover(asyncio.get_running_loop())
    for _ in range(BACKLOG - 1):
        handover.give(lambda: None)
    assert not handover.full
    handover.give(lambda: None)
    assert handover.full
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not handover.full


def test_what_is_given_to_a_loop_that_is_closed_is_nobodys() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Handover(loop).give(lambda: None)


def test_a_wake_is_kept_until_it_is_noticed_and_does_nothing_after_the_end() -> None:
    wake = Wake()
    poll = select.poll()
    poll.register(wake.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    wake.set()
    wake.set()
    assert len(poll.poll(0)) == 1
    wake.clear()
    wake.clear()
    assert poll.poll(0) == []
    wake.close()
    wake.close()
    wake.set()
