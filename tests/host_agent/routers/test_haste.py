"""What waits while a kill or a start is carried out, and for how long."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from fencebus_host.routers.federated import haste
from fencebus_host.routers.federated.haste import MOST_SECONDS, Haste
from fencebus_schemas.model import Action, HostId
from fencebus_schemas.peer import Change, FenceAnswer, Guard, Lift, Message, Purpose
from tests.host_agent.evidence import OTHER, VM
from tests.host_agent.federated_site import Host, described, site
from tests.hypervisors import eventually


async def test_nothing_waits_where_nothing_is_hurried() -> None:
    done, quiet = list[str](), Haste()
    quiet.after(partial(done.append, "news"))
    assert done == ["news"]


async def test_what_waits_comes_in_its_order_once_an_act_is_over() -> None:
    done, hasty = list[str](), Haste()
    hasty.begin(VM)
    hasty.begin(OTHER)
    for what in ("first", "second"):
        hasty.after(partial(done.append, what))
    assert done == []
    hasty.end(VM)
    assert done == ["first", "second"]
    hasty.after(partial(done.append, "third"))
    assert done[-1] == "second"
    hasty.end(OTHER)
    assert done[-1] == "third"
    hasty.after(partial(done.append, "last"))
    assert done[-1] == "last"


async def test_an_act_is_over_once_all_that_was_begun_of_it_is() -> None:
    done, hasty = list[str](), Haste()
    hasty.begin(VM)
    hasty.begin(VM)
    hasty.after(partial(done.append, "news"))
    hasty.end(VM)
    assert done == []
    hasty.end(VM)
    assert done == ["news"]


async def test_an_act_that_takes_long_keeps_nothing_waiting_and_news_keep_their_order() -> None:
    done, hasty = list[str](), Haste()
    hasty.begin(VM)
    hasty.after(partial(done.append, "first"))
    await eventually(lambda: done == ["first"])
    hasty.after(partial(done.append, "second"))
    assert done == ["first"]
    await eventually(lambda: done == ["first", "second"])
    hasty.end(VM)
    await asyncio.sleep(2 * MOST_SECONDS)
    assert done == ["first", "second"]


async def test_what_is_put_off_comes_when_there_is_time_and_never_once_all_is_given_up() -> None:
    done, hasty = list[str](), Haste()
    hasty.put_off(partial(done.append, "first"))
    hasty.after(partial(done.append, "second"))
    assert done == []
    hasty.catch_up()
    assert done == ["first", "second"]
    hasty.put_off(partial(done.append, "third"))
    hasty.give_up()
    await asyncio.sleep(2 * MOST_SECONDS)
    assert done == ["first", "second"]


async def test_a_defect_in_one_is_no_others_loss() -> None:
    done, hasty = list[str](), Haste()
    hasty.put_off(partial(done.append, "first"))
    hasty.put_off(partial(done.remove, "nothing"))
    hasty.put_off(partial(done.append, "last"))
    with pytest.raises(ValueError, match="not in list"):
        hasty.catch_up()
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
    monkeypatch.setattr(haste, "MOST_SECONDS", 30.0)
    async with site({"a": [described(1)], "b": [described(2)], "c": [described(3)]}) as (_, hosts):
        said = overheard(hosts["a"], monkeypatch)
        assert (await hosts["a"].ask(Action.OFF, "vm2")).outcome.ok
        assert not any(isinstance(each, Lift) for each in said)
        await asyncio.sleep(0)
        assert [each.to for each in said if isinstance(each, Lift)] == ["b", "c"]


async def test_the_guards_of_a_reboots_end_are_lifted_before_those_of_its_start_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(haste, "MOST_SECONDS", 30.0)
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        said = overheard(hosts["a"], monkeypatch)
        assert (await hosts["a"].ask(Action.REBOOT, "vm2")).outcome.ok
    lifted = next(number for number, each in enumerate(said) if isinstance(each, Lift))
    starts = [n for n, each in enumerate(said) if isinstance(each, Guard) and each.purpose is Purpose.START]
    assert starts
    assert lifted < min(starts)


async def test_an_owner_answers_before_it_tells_all_of_the_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(haste, "MOST_SECONDS", 30.0)
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        said = overheard(hosts["b"], monkeypatch)
        assert (await hosts["a"].ask(Action.OFF, "vm2")).outcome.ok
        await eventually(lambda: any(isinstance(each, Change) for each in said))
    kinds = [type(each) for each in said]
    assert kinds.index(FenceAnswer) < kinds.index(Change)
    assert not hosts["b"].router._driving._haste._hurried
    assert all(each.sender == HostId("b") for each in said)


async def test_a_deed_that_cannot_be_written_down_ends_its_haste_too() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        hosts["b"].disk.full = True
        assert not (await hosts["a"].ask(Action.OFF, "vm2", seconds=2.0)).outcome.ok
        driving = hosts["b"].router._driving
        await eventually(lambda: not driving._haste._hurried and not driving._haste._later)
