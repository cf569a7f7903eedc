"""Who in a process is told of what a bus brings."""

from __future__ import annotations

import asyncio

from fencebus_agent.bus import Address, BusMessage, BusState, direct_exchange, topic_exchange
from fencebus_agent.sinks import Sinks

EVENTS, ALL = Address(topic_exchange(), "agent.*.event"), Address(topic_exchange(), "agent.#")
OWN = Address(direct_exchange(), "own")
EVENT = BusMessage(b"event", to=Address(topic_exchange(), "agent.ind.event"))


def listen(sinks: Sinks, address: Address) -> list[BusMessage]:
    heard: list[BusMessage] = []
    sinks.add(address, heard.append)
    return heard


async def test_what_came_once_goes_to_everybody_whose_subscription_covers_it() -> None:
    sinks = Sinks()
    events, everything, own = (listen(sinks, each) for each in (EVENTS, ALL, OWN))
    sinks.spread(EVENT)
    assert events == []  # not before whoever brings it has done
    await asyncio.sleep(0)
    assert (events, everything, own) == ([EVENT], [EVENT], [])


async def test_what_came_for_a_binding_goes_to_those_who_made_it() -> None:
    sinks = Sinks()
    events, again, everything = (listen(sinks, each) for each in (EVENTS, EVENTS, ALL))
    sinks.hand(EVENTS, EVENT)
    await asyncio.sleep(0)
    assert (events, again, everything) == ([EVENT], [EVENT], [])


async def test_what_is_wanted_is_what_somebody_subscribed_to_and_each_binding_is_there_once() -> None:
    sinks = Sinks()
    for address in (EVENTS, OWN, EVENTS):
        listen(sinks, address)
    assert sinks.bindings == (EVENTS, OWN)
    assert sinks.want(EVENT.to)
    assert not sinks.want(Address(direct_exchange(), "another"))


async def test_what_one_does_wrong_is_no_others_loss() -> None:
    sinks, complaints = Sinks(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))

    def fail(_message: BusMessage) -> None:
        raise ZeroDivisionError

    sinks.add(ALL, fail)
    heard = listen(sinks, ALL)
    sinks.spread(EVENT)
    await asyncio.sleep(0)
    assert heard == [EVENT]
    assert [type(each) for each in complaints] == [ZeroDivisionError]


async def test_after_the_end_nobody_is_told_of_anything_not_even_of_what_was_on_its_way() -> None:
    sinks, states = Sinks(), list[BusState]()
    heard = listen(sinks, ALL)
    sinks.watch(lambda state, _reason: states.append(state))
    sinks.tell(BusState.CONNECTED, "")
    sinks.spread(EVENT)
    sinks.close()
    late = listen(sinks, ALL)
    sinks.spread(EVENT)
    sinks.tell(BusState.LOST, "")
    await asyncio.sleep(0)
    assert (heard, late, states) == ([], [], [BusState.CONNECTED])
