"""How many questions are put to libvirt at once."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.libvirt_driver.turnstile import Turnstile

LONG = 60.0


async def a_round() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_as_many_as_there_is_room_for_go_in_at_once() -> None:
    turnstile = Turnstile(2, LONG)
    await turnstile.enter()
    await turnstile.enter()
    third = asyncio.create_task(turnstile.enter())
    await a_round()
    assert not third.done()
    turnstile.leave()
    await asyncio.wait_for(third, 30)


async def test_those_who_wait_go_in_as_they_came() -> None:
    turnstile, order = Turnstile(1, LONG), list[int]()
    await turnstile.enter()

    async def pass_through(number: int) -> None:
        await turnstile.enter()
        order.append(number)
        turnstile.leave()

    waiting = [asyncio.create_task(pass_through(number)) for number in range(5)]
    await a_round()
    assert order == []
    turnstile.leave()
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]


async def test_a_question_that_hangs_holds_up_nobody_for_longer_than_their_patience() -> None:
    turnstile = Turnstile(1, 0.02)
    await turnstile.enter()
    began = asyncio.get_running_loop().time()
    await asyncio.gather(turnstile.enter(), turnstile.enter())
    assert asyncio.get_running_loop().time() - began >= 0.015


async def test_who_went_in_out_of_patience_leaves_no_more_room_than_there_was() -> None:
    turnstile = Turnstile(1, 0.01)
    await turnstile.enter()
    await turnstile.enter()
    turnstile._patience = LONG
    turnstile.leave()
    fourth = asyncio.create_task(turnstile.enter())
    await a_round()
    assert not fourth.done()
    turnstile.leave()
    await asyncio.wait_for(fourth, 30)


@pytest.mark.parametrize("at_the_same_moment", (False, True))
async def test_who_is_cancelled_while_waiting_takes_no_room(at_the_same_moment: bool) -> None:
    turnstile = Turnstile(1, LONG)
    await turnstile.enter()
    second = asyncio.create_task(turnstile.enter())
    third = asyncio.create_task(turnstile.enter())
    await a_round()
    if at_the_same_moment:
        turnstile.leave()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    if not at_the_same_moment:
        turnstile.leave()
    await asyncio.wait_for(third, 30)
