"""Agents and a console on one bus: the picture comes true whatever is lost, whoever starts again, whoever lies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from fencebus_agent import qmf_console
from fencebus_agent.bus import Address, Bus, BusError, BusMessage, Priority, direct_exchange, topic_exchange
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_console import QmfConsole
from fencebus_agent.qmf_inquiries import NoAnswer
from fencebus_agent.qmf_wire import from_bus, to_bus
from fencebus_schemas.model import VmState
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import DOMAIN, DOMAIN_LIFECYCLE, OWNERSHIP_CHANGED
from fencebus_schemas.qmf2_data import Data, Event, ObjectId, SchemaId
from fencebus_schemas.qmf2_messages import (
    Code,
    Content,
    Heartbeat,
    Indication,
    Message,
    MethodRequest,
    MethodResponse,
    QueryRequest,
    QueryResponse,
    What,
)
from fencebus_schemas.qmf2_names import AgentName
from tests.agent.qmf_company import Company, Listener, Recorder, domain_id, show, vm
from tests.hypervisors import eventually, soon

DOMAINS = SchemaId("org.libvirt", "Domain")
A, B = "fencebus:libvirt-qmf:hosta", "fencebus:libvirt-qmf:hostb"
QUIET = 0.1


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with Company() as made:
        yield made


def seen(console: QmfConsole) -> dict[str, str]:
    """The VMs of the picture and their states."""
    return {str(one.values["name"]): str(one.values["state"]) for one in console.picture.objects(DOMAINS)}


def synced(console: QmfConsole, *agents: str) -> bool:
    known = {str(one.name): one for one in console.picture.agents()}
    return set(known) == set(agents) and all(one.synced for one in known.values())


async def say(bus: Bus, key: str, message: Message) -> None:
    """Whatever anybody may send."""
    await bus.send(Address(topic_exchange(), key), to_bus(message), soon(), Priority.COMMAND)


# ---- the picture


async def test_a_console_that_comes_first_hears_of_agents_and_of_what_they_have(company: Company) -> None:
    console = await company.console()
    a, b = await company.agent(), await company.agent("hostb")
    show(a, vm(1), vm(2, "hostb"))
    show(b, vm(1), vm(2, "hostb", VmState.OFF))
    await eventually(lambda: synced(console, A, B) and seen(console) == {"vm1": "running", "vm2": "shutoff"})
    assert console.picture.conflicts() == {}


async def test_a_console_that_comes_last_finds_them_all_and_more_objects_than_one_message_holds(
    company: Company,
) -> None:
    show(await company.agent(), *(vm(number) for number in range(120)))
    console = await company.console()
    await eventually(lambda: synced(console, A))
    assert len(seen(console)) == 120


async def test_changes_and_ends_are_seen_and_told(company: Company) -> None:
    console, agent = await company.console(), await company.agent()
    changes: list[int] = []
    console.watch(lambda: changes.append(len(seen(console))))
    show(agent, vm(1), vm(2))
    await eventually(lambda: len(seen(console)) == 2)
    show(agent, vm(1, state=VmState.PAUSED))
    await eventually(lambda: seen(console) == {"vm1": "paused"})
    assert changes[-1] == 1


async def test_events_are_handed_on_with_their_agent(company: Company) -> None:
    console, agent = await company.console(), await company.agent()
    events: list[tuple[str, Event]] = []
    console.subscribe(lambda agent, event: events.append((agent, event)))
    await eventually(lambda: synced(console, A))
    agent.tell(DOMAIN_LIFECYCLE, {"name": "vm1", "event": "started"})
    await eventually(lambda: bool(events))
    assert (events[0][0], events[0][1].values["event"]) == (A, "started")


async def test_what_the_network_lost_is_asked_for_again(company: Company) -> None:
    console = await company.console()
    company.broker.line("console", "hosta").loss = 1.0
    show(await company.agent(interval=1), vm(1))
    await eventually(lambda: console.picture.agent(A) is not None)
    await asyncio.sleep(QUIET)
    assert not synced(console, A)
    company.broker.mend()
    await eventually(lambda: synced(console, A) and seen(console) == {"vm1": "running"})


async def test_with_a_third_of_all_messages_lost_the_picture_still_comes_true(company: Company) -> None:
    for sender, receiver in (("console", "hosta"), ("hosta", "console")):
        company.broker.line(sender, receiver).loss = 0.33
    show(await company.agent(interval=1), *(vm(number) for number in range(60)))
    console = await company.console(patience=0.1)
    await eventually(lambda: len(seen(console)) == 60 and synced(console, A), 12.0)


async def test_after_a_restart_of_an_agent_what_it_has_no_more_is_gone(company: Company) -> None:
    console = await company.console()
    agent, ending = await company.mortal_agent(epoch=1)
    show(agent, vm(1), vm(2))
    await eventually(lambda: synced(console, A) and len(seen(console)) == 2)
    await ending.aclose()
    show(await company.agent(epoch=2), vm(2))
    await eventually(lambda: synced(console, A) and seen(console) == {"vm2": "running"})
    known = console.picture.agent(A)
    assert known is not None
    assert known.attributes.epoch == 2


async def test_an_agent_that_comes_back_after_its_connection_was_lost_is_the_same(company: Company) -> None:
    console, agent = await company.console(), await company.agent()
    show(agent, vm(1))
    await eventually(lambda: synced(console, A))
    company.broker.bar("hosta")
    show(agent, vm(1, state=VmState.OFF))
    await asyncio.sleep(QUIET)
    assert seen(console) == {"vm1": "running"}
    company.broker.admit("hosta")
    await eventually(lambda: seen(console) == {"vm1": "shutoff"})


async def test_a_silent_agent_is_forgotten(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmf_console, "AGE_SECONDS", 0.02)
    now = [0.0]
    console = await company.console(clock=lambda: now[0])
    agent, ending = await company.mortal_agent()
    show(agent, vm(1))
    await eventually(lambda: synced(console, A))
    await ending.aclose()
    now[0] = 181.0
    await eventually(lambda: console.picture.agents() == [] and seen(console) == {})


async def test_an_agent_that_never_says_what_it_has_is_asked_again_after_its_next_heartbeat(company: Company) -> None:
    console, mute = await company.console(patience=0.01), await company.listener("hosta")
    asked: list[BusMessage] = []
    mute.bus.subscribe(Address(direct_exchange(), A), asked.append)
    name = AgentName.parse(A)
    beat = Heartbeat(A, AgentAttributes(name, 1, 60))
    await say(mute.bus, name.heartbeat_key, beat)
    await eventually(lambda: bool(asked) and not console._refreshing)
    before = len(asked)
    await say(mute.bus, name.heartbeat_key, beat)
    await eventually(lambda: len(asked) > before)
    assert not synced(console, A)


async def test_a_console_whose_bus_is_closed_finds_nobody_and_says_so(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    bus = MemoryBus(company.broker, "console")
    console = QmfConsole(bus)
    await bus.close()
    running = asyncio.create_task(console.run())
    await eventually(lambda: "nobody was looked for" in caplog.text)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_agents_that_it_is_not_interested_in_are_none(company: Company) -> None:
    console, other = await company.console(), await company.listener("other")
    name = AgentName("apache.org", "qpidd", "1")
    await say(other.bus, name.heartbeat_key, Heartbeat(str(name), AgentAttributes(name, 1, 60)))
    await asyncio.sleep(QUIET)
    assert console.picture.agents() == []


# ---- who lies


async def test_an_agent_that_says_it_owns_what_another_owns_is_a_conflict(company: Company) -> None:
    console = await company.console()
    show(await company.agent(), vm(1))
    show(await company.agent("hostb"), vm(1, "hostb"))
    await eventually(lambda: console.picture.conflicts() == {vm(1).uuid: (A, B)})


async def test_an_agent_that_speaks_of_the_objects_of_another_is_not_believed(company: Company) -> None:
    console, liar = await company.console(), await company.listener("hostb")
    show(await company.agent(), vm(1))
    name = AgentName.parse(B)
    await say(liar.bus, name.heartbeat_key, Heartbeat(B, AgentAttributes(name, 1, 60)))
    await eventually(lambda: len(console.picture.agents()) == 2 and bool(seen(console)))
    dead = Data(domain_id(1), DOMAIN.id, {"name": "vm1", "state": "shutoff", "ownerHost": "hosta"})
    for one in (dead, Data(ObjectId(B, dead.id.name), DOMAIN.id, dead.values), Data(dead.id, DOMAIN.id, deleted=1)):
        lie = Indication(B, Content.DATA, (one,))
        await say(liar.bus, name.data_key("org.libvirt", "Domain"), lie)
    await asyncio.sleep(QUIET)
    assert seen(console) == {"vm1": "running"}


async def test_whoever_speaks_in_the_name_of_an_agent_is_not_believed_and_is_logged(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    console, liar = await company.console(), await company.listener("mallory")
    events: list[Event] = []
    console.subscribe(lambda _agent, event: events.append(event))
    show(await company.agent(), vm(1))
    await eventually(lambda: synced(console, A))
    name = AgentName.parse(A)
    gone = Data(domain_id(1), DOMAIN.id, {}, deleted=1)
    lies: tuple[tuple[str, Message], ...] = (
        (name.heartbeat_key, Heartbeat(A, AgentAttributes(name, 1, 60, epoch=9))),
        (name.data_key("org.libvirt", "Domain"), Indication(A, Content.DATA, (gone,))),
        (name.event_key("p", "e", "warn"), Indication(A, Content.EVENT, (Event(OWNERSHIP_CHANGED.id, {}, 1),))),
    )
    for key, lie in lies:
        await say(liar.bus, key, lie)
    await asyncio.sleep(QUIET)
    assert seen(console) == {"vm1": "running"}
    assert events == []
    assert "user 'mallory' speaks as agent" in caplog.text


async def test_an_agent_whose_user_is_configured_is_believed_as_no_other(company: Company) -> None:
    console = await company.console({A: "hosta", B: "hosta"})
    show(await company.agent(), vm(1))
    show(await company.agent("hostb"), vm(2, "hostb"))
    await eventually(lambda: synced(console, A))
    await asyncio.sleep(QUIET)
    assert [str(one.name) for one in console.picture.agents()] == [A]


# ---- calls


async def test_a_call_brings_back_its_output_arguments(company: Company) -> None:
    console, handler = await company.console(), Recorder({"description": "<domain/>"})
    show(await company.agent(handler=handler), vm(1))
    await eventually(lambda: synced(console, A))
    assert await console.call(domain_id(1), "getXMLDesc", {}, soon()) == handler.result
    assert [call.user for call in handler.calls] == ["console"]


async def test_a_call_that_is_refused_says_why(company: Company) -> None:
    console = await company.console()
    show(await company.agent(), vm(1))
    await eventually(lambda: synced(console, A))
    with pytest.raises(CallRefused, match="only shows") as refused:
        await console.call(domain_id(1), "destroy", {}, soon())
    assert refused.value.code == Code.FORBIDDEN
    with pytest.raises(CallRefused, match="no such object"):
        await console.call(ObjectId(A, "x"), "destroy", {}, soon())


async def test_a_call_of_an_agent_that_nobody_heard_of_fails_at_once(company: Company) -> None:
    console = await company.console()
    with pytest.raises(NoAnswer, match="has not been heard of"):
        await console.call(domain_id(1), "destroy", {}, soon())


async def test_a_call_that_is_lost_fails_at_its_deadline_and_is_not_repeated(company: Company) -> None:
    console, handler = await company.console(), Recorder()
    show(await company.agent(handler=handler), vm(1))
    await eventually(lambda: synced(console, A))
    company.broker.line("hosta", "console").loss = 1.0
    with pytest.raises(NoAnswer, match="no answer until the deadline"):
        await console.call(domain_id(1), "destroy", {}, soon(0.1))
    company.broker.mend()
    await asyncio.sleep(QUIET)
    assert len(handler.calls) == 1


async def test_a_call_that_comes_twice_is_carried_out_once(company: Company) -> None:
    console, handler = await company.console(), Recorder()
    show(await company.agent(handler=handler), vm(1))
    await eventually(lambda: synced(console, A))
    company.broker.line("console", "hosta").duplication = 1.0
    assert await console.call(domain_id(1), "destroy", {}, soon()) == {}
    await asyncio.sleep(QUIET)
    assert len(handler.calls) == 1


async def test_a_call_fails_with_its_connection(company: Company) -> None:
    console, handler = await company.console(), Recorder(pause=5.0)
    show(await company.agent(handler=handler), vm(1))
    await eventually(lambda: synced(console, A))
    calling = asyncio.create_task(console.call(domain_id(1), "destroy", {}, soon()))
    await eventually(lambda: bool(handler.calls))
    company.broker.sever("console")
    with pytest.raises(NoAnswer, match="the connection was lost"):
        await calling


async def test_a_call_without_a_bus_fails_as_the_bus_does(company: Company) -> None:
    console = await company.console()
    show(await company.agent(), vm(1))
    await eventually(lambda: synced(console, A))
    company.broker.up = False
    with pytest.raises(BusError):
        await console.call(domain_id(1), "destroy", {}, soon(0.05))


class Forger(Listener):
    """Answers every request to an agent with an answer of its own."""

    def __init__(self, bus: MemoryBus, answer: Message) -> None:
        super().__init__(bus)
        bus.subscribe(Address(direct_exchange(), A), lambda message: self._forge(message, answer))
        self.tasks: list[asyncio.Task[None]] = []

    def _forge(self, asked: BusMessage, answer: Message) -> None:
        if asked.reply_to is not None and isinstance(from_bus(asked), (MethodRequest, QueryRequest)):
            forged = to_bus(answer, correlation_id=asked.correlation_id)
            sending = self.bus.send(asked.reply_to, forged, soon(), Priority.COMMAND)
            self.tasks.append(asyncio.ensure_future(sending))


async def test_an_answer_of_somebody_else_is_none(company: Company, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    console, handler = await company.console(), Recorder({"description": "true"}, pause=QUIET)
    show(await company.agent(handler=handler), vm(1))
    await eventually(lambda: synced(console, A))
    bus = MemoryBus(company.broker, "mallory", "mallory")
    for forged in (MethodResponse(A, {"description": "forged"}), MethodResponse(B, {"description": "forged"})):
        Forger(bus, forged)
    running = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    assert await console.call(domain_id(1), "getXMLDesc", {}, soon()) == {"description": "true"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "user 'mallory' answers as agent" in caplog.text
    assert "to no question" in caplog.text


async def test_an_answer_of_the_wrong_sort_is_none(company: Company) -> None:
    console = await company.console()
    bus = MemoryBus(company.broker, "hosta", "hosta")
    Forger(bus, QueryResponse(A, Content.DATA))
    running = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    name = AgentName.parse(A)
    await say(bus, name.heartbeat_key, Heartbeat(A, AgentAttributes(name, 1, 60)))
    await eventually(lambda: synced(console, A))
    with pytest.raises(NoAnswer, match="as if it were a query"):
        await console.call(domain_id(1), "destroy", {}, soon())
    await bus.send(console_address(console), BusMessage(b"?"), soon(), Priority.COMMAND)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def console_address(console: QmfConsole) -> Address:
    return console._bus.own


async def test_a_query_that_is_answered_as_a_call_is_not_answered(company: Company) -> None:
    console = await company.console(patience=0.01)
    bus = MemoryBus(company.broker, "hosta", "hosta")
    Forger(bus, MethodResponse(A, {}))
    running = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    with pytest.raises(NoAnswer, match="as if it were a call"):
        await console.query(A, QueryRequest(What.SCHEMA_ID), soon())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_query_can_be_asked_by_hand(company: Company) -> None:
    console = await company.console()
    show(await company.agent(), vm(1))
    await eventually(lambda: synced(console, A))
    assert len(await console.query(A, QueryRequest(What.SCHEMA_ID), soon())) == 8
