"""A client at the brokers of its list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from fencebus_agent import knocking
from fencebus_agent.knocking import Knocking
from fencebus_schemas.bus_url import AMQP_0, Broker, brokers
from tests.hypervisors import eventually

A, B, C = brokers("amqp://a,amqp://b,amqp://c", AMQP_0)


class House:
    """Brokers who take a client in, or not; whoever is taken in is thrown out again at once."""

    def __init__(self, *hospitable: Broker, visits: int) -> None:
        self._hospitable, self._visits = hospitable, visits
        self.knocked: list[Broker] = []

    async def attempt(self, broker: Broker) -> bool:
        """One connection."""
        self.knocked.append(broker)
        return broker in self._hospitable

    def closed(self) -> bool:
        """After so many visits."""
        return len(self.knocked) >= self._visits


async def knocked(house: House, at: Sequence[Broker] = (A, B, C)) -> list[Broker]:
    """Where a client knocked until it was closed."""
    async with asyncio.timeout(30):
        await Knocking(at, house.attempt).until(house.closed)
    return house.knocked


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that are known; returns those that were begun with."""
    begun: list[float] = []

    def pauses() -> Iterator[float]:
        for pause in (0.0, 0.001, 0.002, 0.003):
            begun.append(pause)
            yield pause

    monkeypatch.setattr(knocking, "pauses", pauses)
    return begun


async def test_all_are_tried_in_their_order_before_there_is_a_pause(waits: list[float]) -> None:
    assert await knocked(House(visits=6)) == [A, B, C, A, B, C]
    assert waits == [0.0]  # between the two rounds, and none after the last one


async def test_after_one_that_took_us_in_the_next_one_is_tried_first() -> None:
    assert await knocked(House(B, visits=5)) == [A, B, C, A, B]


async def test_whoever_is_thrown_out_at_once_waits_longer_each_time(waits: list[float]) -> None:
    assert await knocked(House(A, visits=4), (A,)) == [A, A, A, A]
    assert waits == [0.0, 0.001, 0.002]


async def test_a_connection_that_was_sound_is_followed_by_another_one_at_once(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr(knocking, "SOUND", -1.0)
    assert await knocked(House(A, visits=4), (A,)) == [A, A, A, A]
    assert waits == []


async def test_a_client_that_was_closed_knocks_nowhere() -> None:
    assert await knocked(House(visits=0)) == []


async def test_a_client_that_is_closed_between_two_brokers_leaves_out_the_second() -> None:
    assert await knocked(House(visits=1)) == [A]


async def test_who_is_cancelled_in_a_pause_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knocking, "pauses", lambda: iter((60.0,)))
    house = House(visits=9)
    task = asyncio.create_task(Knocking((A,), house.attempt).until(house.closed))
    await eventually(lambda: house.knocked == [A])
    task.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait({task})
    assert task.cancelled()
