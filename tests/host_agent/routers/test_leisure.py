"""What waits until whoever asked has the answer, and for how long."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from fencebus_host.routers.federated import leisure
from fencebus_host.routers.federated.leisure import MOST_SECONDS, Leisure
from fencebus_schemas.model import Action
from fencebus_schemas.peer import Guard, Lift, Message, Purpose
from tests.host_agent.federated_site import Host, described, site
from tests.hypervisors import eventually


async def test_what_is_put_off_comes_when_there_is_time_and_never_once_all_is_given_up() -> None:
    done, calm = list[str](), Leisure()
    calm.put_off(partial(done.append, "first"))
    calm.put_off(partial(done.append, "second"))
    assert done == []
    calm.catch_up()
    assert done == ["first", "second"]
    calm.put_off(partial(done.append, "third"))
    await eventually(lambda: done == ["first", "second", "third"])
    calm.put_off(partial(done.append, "fourth"))
    calm.give_up()
    await asyncio.sleep(2 * MOST_SECONDS)
    assert done[-1] == "third"


async def test_a_defect_in_one_is_no_others_loss() -> None:
    done, calm = list[str](), Leisure()
    calm.put_off(partial(done.append, "first"))
    calm.put_off(partial(done.remove, "nothing"))
    calm.put_off(partial(done.append, "last"))
    with pytest.raises(ValueError, match="not in list"):
        calm.catch_up()
    await eventually(lambda: done == ["first", "last"])


def overheard(host: Host, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What a host says from now on."""
    said, carrier = list[Message](), host.router._driving._carrier
    send = carrier.send

    def heard(message: Message) -> None:
        said.append(message)
        send(message)

    monkeypatch.setattr(carrier, "send", heard)
    return said


async def test_guards_are_lifted_behind_the_answer_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leisure, "MOST_SECONDS", 30.0)
    async with site({"a": [described(1)], "b": [described(2)], "c": [described(3)]}) as (_, hosts):
        said = overheard(hosts["a"], monkeypatch)
        assert (await hosts["a"].ask(Action.OFF, "vm2")).outcome.ok
        assert not any(isinstance(each, Lift) for each in said)
        await asyncio.sleep(0)
        assert [each.to for each in said if isinstance(each, Lift)] == ["b", "c"]


async def test_the_guards_of_a_reboots_end_are_lifted_before_those_of_its_start_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leisure, "MOST_SECONDS", 30.0)
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        said = overheard(hosts["a"], monkeypatch)
        assert (await hosts["a"].ask(Action.REBOOT, "vm2")).outcome.ok
    lifted = next(number for number, each in enumerate(said) if isinstance(each, Lift))
    starts = [n for n, each in enumerate(said) if isinstance(each, Guard) and each.purpose is Purpose.START]
    assert starts
    assert lifted < min(starts)
