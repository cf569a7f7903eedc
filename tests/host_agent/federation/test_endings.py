"""What an owner has answered is known before its news, of the very life that it has ended, and not for long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.federation.endings import MEMORY, Endings
from fencebus_schemas.model import Action, HostId, Life, Observation, Uuid, VmRecord, VmState
from fencebus_schemas.peer import Change, Message
from tests.host_agent.evidence import HERE, OTHER, VM, ended, record
from tests.host_agent.federated_site import described, site, until

SEEN = ended()
CLAIM = replace(record(), life="1")
OFF = replace(CLAIM, state=VmState.OFF, life="")


def answered() -> Endings:
    endings = Endings()
    endings.answered(HERE, SEEN, 10.0)
    return endings


def test_the_life_that_was_ended_is_off_until_the_news_have_had_their_time() -> None:
    assert answered().seen(CLAIM, 10.0) == OFF
    assert answered().seen(CLAIM, 10.0 + MEMORY) == CLAIM


@pytest.mark.parametrize(
    "other",
    (
        replace(CLAIM, life="2"),
        replace(CLAIM, life=""),
        replace(CLAIM, host=HostId("another")),
        replace(CLAIM, uuid=OTHER),
    ),
)
def test_another_life_another_host_and_another_vm_are_as_they_were_told(other: VmRecord) -> None:
    assert answered().seen(other, 10.0) == other


@pytest.mark.parametrize("vm", (VM, None))
def test_what_the_host_says_afterwards_counts(vm: Uuid | None) -> None:
    endings = answered()
    endings.told(HostId("another"), vm)
    assert endings.seen(CLAIM, 10.0) == OFF
    endings.told(HERE, OTHER)
    assert endings.seen(CLAIM, 10.0) == OFF
    endings.told(HERE, vm)
    assert endings.seen(CLAIM, 10.0) == CLAIM


@pytest.mark.parametrize(
    "seen",
    (
        replace(SEEN, state=VmState.UNKNOWN),
        replace(SEEN, ended=None),
        replace(SEEN, ended=Life("")),
        replace(SEEN, migration_in_flight=True),
    ),
)
def test_what_is_no_plain_end_of_a_known_life_says_nothing(seen: Observation) -> None:
    endings = Endings()
    endings.answered(HERE, seen, 10.0)
    assert endings.seen(CLAIM, 10.0) == CLAIM
    assert endings._marks == {}


def test_of_many_answers_those_of_before_are_forgotten() -> None:
    endings = answered()
    endings.answered(HostId("another"), SEEN, 10.0 + MEMORY)
    assert len(endings._marks) == 1


async def test_a_status_behind_an_off_says_off_though_the_news_are_still_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        carrier = hosts["b"].router._driving._carrier
        send, held = carrier.send, list[Message]()

        def slow(message: Message) -> None:
            held.append(message) if isinstance(message, Change) else send(message)

        def life() -> str:
            return next(each.life for each in hosts["a"].router.owners() if each.name == "vm2")

        before = life()
        monkeypatch.setattr(carrier, "send", slow)
        assert (await hosts["a"].ask(Action.OFF, "vm2")).outcome.ok
        assert (await hosts["a"].ask(Action.STATUS, "vm2")).outcome.reason.value == "status-off"
        assert (await hosts["a"].ask(Action.ON, "vm2")).outcome.ok
        await until(lambda: len(held) == 2)
        for each in held:
            send(each)
        await until(lambda: life() not in ("", before))
        assert (await hosts["a"].ask(Action.STATUS, "vm2")).outcome.reason.value == "status-on"
