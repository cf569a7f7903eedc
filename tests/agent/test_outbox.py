"""What waits to be sent: what goes next, what never goes, and what there is no room for."""

from __future__ import annotations

from fencebus_agent.bus import Address, BusMessage, Priority
from fencebus_agent.outbox import ROOM, ROOM_BYTES, Fate, Outbox, Parcel
from fencebus_schemas.deadline import Deadline

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
