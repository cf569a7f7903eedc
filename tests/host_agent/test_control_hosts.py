"""What an operator orders about other hosts, on the control socket of hosts in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from fencebus_host.control import Declined, Question
from fencebus_host.control_hosts import HostOrders
from fencebus_host.proofs.operator import OperatorWitness
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import Action, HostId, Reason
from tests.host_agent.federated_site import Host, described, site, until, vm

B = HostId("b")


def orders(host: Host, later: float = 0.0) -> HostOrders:
    """``later``: seconds by which this administrator's clock goes ahead, so that nobody has to wait for a silence."""
    return HostOrders(host.router, host.name, lambda: boottime() + later, lambda: 0.0)


def about(host: str) -> Question:
    return Question("confirm-dead", {"host": host, "who": "ann"}, "uid 0")


async def refusal(given: HostOrders, host: str) -> str:
    with pytest.raises(Declined) as caught:
        await given.confirm_dead(about(host))
    return caught.value.code


async def test_the_list_says_who_had_what_and_who_is_confirmed_dead() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        rows = cast(list[dict[str, object]], await orders(hosts["a"]).list(Question("hosts")))
        assert [row["vms"] for row in rows] == [["vm1"], ["vm2"]]
        await hosts["b"].stop()
        await orders(hosts["a"], 20.0).confirm_dead(about("b"))
        rows = cast(list[dict[str, object]], await orders(hosts["a"]).list(Question("hosts")))
        told = cast(dict[str, object], rows[1]["host"])
        assert str(told["proof"]).startswith("confirmed dead by ann (uid 0) at ")


async def test_nobody_is_vouched_for_as_dead_who_lives_is_unknown_or_is_this_very_host() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        assert await refusal(orders(hosts["a"]), "b") == "alive"
        assert await refusal(orders(hosts["a"], 20.0), "a") == "this-host"
        assert await refusal(orders(hosts["a"], 20.0), "z") == "no-member"
    assert await refusal(HostOrders(None, "a"), "b") == "alone"


async def test_an_operators_word_spreads_fences_and_ends_with_the_next_sign_of_life() -> None:
    async with site({"a": [described(1)], "b": [described(2)], "c": [described(3)]}) as (_, hosts):
        await hosts["b"].stop()
        for host in (hosts["a"], hosts["c"]):
            host.witnesses += [OperatorWitness(host.router.ownership.confirmations.standing)]
        silent = await hosts["c"].ask(Action.OFF, vm(2), seconds=2.0)
        assert silent.outcome.reason is Reason.HOST_SILENT
        await orders(hosts["a"], 20.0).confirm_dead(about("b"))
        await until(lambda: hosts["c"].router.ownership.confirmations.standing(B) is not None)
        fenced = (await hosts["c"].ask(Action.OFF, vm(2), seconds=15.0)).outcome
        assert (fenced.ok, fenced.reason) == (True, Reason.PROVEN_OFF)
        assert "ann (uid 0) confirmed at" in fenced.text
        await hosts["b"].start()
        await until(lambda: hosts["c"].router.ownership.confirmations.standing(B) is None)


async def test_a_host_that_is_gone_for_good_is_forgotten_unless_the_configuration_lists_it() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        with pytest.raises(Declined, match="configured"):
            await orders(hosts["a"]).forget(about("b"))
    async with site({"a": [described(1)], "b": [described(2)], "c": [described(3)]}, configured=False) as (_, hosts):
        await hosts["b"].stop()
        with pytest.raises(Declined, match=r"to have vm2: .*--with-vms") as declined:
            await orders(hosts["a"], 20.0).forget(about("b"))
        assert declined.value.code == "has-vms"
        assert B in hosts["a"].router.ownership.members
        question = about("b")
        await orders(hosts["a"], 20.0).forget(replace(question, about={**question.about, "with_vms": True}))
        await until(lambda: B not in hosts["c"].router.ownership.members)
