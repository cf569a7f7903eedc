"""An agent on the bus: what it says unasked, what it answers, and what becomes of calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from fencebus_agent import qmf_agent
from fencebus_agent.bus import Address, direct_exchange, topic_exchange
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_agent.qmf_wire import from_bus
from fencebus_schemas.model import HostId, VmState
from fencebus_schemas.qmf2_classes import DOMAIN_LIFECYCLE, FENCE_COMPLETED, NODE
from fencebus_schemas.qmf2_data import Data, Event, Severity
from fencebus_schemas.qmf2_messages import (
    Code,
    Failure,
    Heartbeat,
    Indication,
    LocateRequest,
    LocateResponse,
    MethodRequest,
    MethodResponse,
    QueryRequest,
    QueryResponse,
    What,
)
from fencebus_schemas.qmf2_names import LOCATE_KEY
from tests.agent.qmf_company import Company, Listener, Recorder, domain_id, show, vm
from tests.hypervisors import eventually

AGENT = "fencebus:libvirt-qmf:hosta"
TO_HOSTA = Address(direct_exchange(), AGENT)
TO_ALL = Address(topic_exchange(), LOCATE_KEY)
SHORT = 0.1


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with Company() as made:
        yield made


def told_vms(listener: Listener) -> list[tuple[object, object]]:
    """Names and states of the VMs that were indicated, in order."""
    said = listener.heard(Indication, "agent.ind.data.org_libvirt.Domain.")
    items = [item for one in said if isinstance(one, Indication) for item in one.items]
    return [(one.values["name"], one.values["state"]) for one in items if isinstance(one, Data)]


def answers(listener: Listener) -> list[object]:
    return [from_bus(message) for message in listener.answers]


async def called(company: Company, handler: Recorder, request: MethodRequest, name: str = "console") -> object:
    """What comes of a call."""
    listener = await company.listener(name)
    agent = await company.agent(handler=handler)
    show(agent, vm(7))
    await listener.ask(TO_HOSTA, request)
    await eventually(lambda: bool(listener.answers))
    (answer,) = answers(listener)
    return answer


async def test_it_says_who_it_is_at_once_and_again_when_it_has_lost_its_connection(company: Company) -> None:
    listener = await company.listener()
    await company.agent()
    await eventually(lambda: len(listener.heard(Heartbeat, "agent.ind.heartbeat.fencebus.libvirt-qmf.hosta")) >= 1)
    before = len(listener.heard(Heartbeat))
    company.broker.sever("hosta")
    await eventually(lambda: len(listener.heard(Heartbeat)) > before)


async def test_a_change_is_told_at_once_and_an_object_that_did_not_change_is_not(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    show(agent, vm(7), vm(8))
    await eventually(lambda: told_vms(listener) == [("vm7", "running"), ("vm8", "running")])
    show(agent, vm(7), vm(8, state=VmState.OFF))
    await eventually(lambda: len(told_vms(listener)) > 2)
    assert told_vms(listener)[2:] == [("vm8", "shutoff")]
    message = listener.told[-1]
    assert (message.correlation_id, message.app_id) == ("", "qmf2")


async def test_everything_is_told_a_while_after_somebody_looked(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    show(agent, vm(7))
    await eventually(lambda: bool(told_vms(listener)))
    await listener.ask(TO_ALL, LocateRequest())
    await eventually(lambda: any(isinstance(one, LocateResponse) for one in answers(listener)))
    await eventually(lambda: len(told_vms(listener)) >= 2)


async def test_an_object_can_be_put_and_removed_by_itself(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    agent.put(NODE, "hosta", {"hostname": "hosta"})
    await eventually(lambda: bool(listener.heard(Indication, "agent.ind.data.org_libvirt.Node.")))
    agent.remove(NODE, "hosta")
    await eventually(lambda: len(listener.heard(Indication, "agent.ind.data.org_libvirt.Node.")) == 2)
    agent.remove(NODE, "hosta")


async def test_events_come_one_by_one_with_their_severity_in_the_key(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    agent.tell(DOMAIN_LIFECYCLE, {"name": "vm7", "event": "started"})
    agent.tell(FENCE_COMPLETED, {"ok": False}, Severity.ERROR)
    await eventually(lambda: len(listener.heard(Indication, "agent.ind.event.")) == 2)
    keys = [message.to.key for message in listener.told if ".event." in message.to.key]
    assert keys == [
        "agent.ind.event.org_fencebus.domainLifecycle.info.fencebus.libvirt-qmf.hosta",
        "agent.ind.event.org_fencebus.fenceCompleted.error.fencebus.libvirt-qmf.hosta",
    ]
    (first, second) = listener.heard(Indication, "agent.ind.event.")
    assert isinstance(first, Indication)
    assert isinstance(second, Indication)
    assert [len(one.items) for one in (first, second)] == [1, 1]
    assert isinstance(first.items[0], Event)


async def test_a_long_answer_comes_in_order_and_in_parts(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    show(agent, *(vm(number) for number in range(120)))
    for to in (TO_HOSTA, Address(topic_exchange(), agent.name.direct_subject)):
        listener.answers.clear()
        await listener.ask(to, QueryRequest(What.OBJECT), "17")
        await eventually(lambda: len(listener.answers) == 3)
        said = [one for one in answers(listener) if isinstance(one, QueryResponse)]
        assert [one.partial for one in said] == [True, True, False]
        assert sum(len(one.items) for one in said) == 121
        assert {message.correlation_id for message in listener.answers} == {"17"}


async def test_an_agent_that_only_shows_forbids_every_call(company: Company) -> None:
    listener, agent = await company.listener(), await company.agent()
    show(agent, vm(7))
    await listener.ask(TO_HOSTA, MethodRequest("destroy", domain_id(7)))
    await eventually(lambda: bool(listener.answers))
    (answer,) = answers(listener)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.text) == (Code.FORBIDDEN, "destroy: this agent only shows what there is")


async def test_a_call_is_answered_with_what_the_handler_brings(company: Company) -> None:
    handler = Recorder({"description": "<domain/>" * 10000})
    answer = await called(company, handler, MethodRequest("getXMLDesc", domain_id(7)))
    assert answer == MethodResponse(AGENT, handler.result)
    (call,) = handler.calls
    assert (call.method, call.user, call.target.values["name"]) == ("getXMLDesc", "console", "vm7")


async def test_a_call_of_a_user_who_is_not_trusted_reaches_no_handler_and_is_logged(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Recorder()
    answer = await called(company, handler, MethodRequest("destroy", domain_id(7)), "guest")
    assert answer == Failure(AGENT, Code.FORBIDDEN, "destroy: user guest is not trusted here")
    assert handler.calls == []
    assert "refused destroy for user 'guest': destroy: user guest is not trusted here (6)" in caplog.text


@pytest.mark.parametrize(
    ("handler", "code", "text"),
    (
        (Recorder(error=CallRefused(Code.USER + 55, "libvirt: not running")), 0x10000 + 55, "libvirt: not running"),
        (Recorder(error=ValueError("oh")), Code.EXCEPTION, "destroy: internal error"),
        (Recorder(pause=9.0), Code.EXCEPTION, "destroy: no outcome within 0.1 s"),
        (Recorder({"x": 2**64}), Code.EXCEPTION, "destroy: its result cannot be sent"),
    ),
)
async def test_whatever_goes_wrong_in_a_call_is_told_with_a_code_and_a_text(
    company: Company, handler: Recorder, code: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmf_agent, "CALL_SECONDS", SHORT)
    answer = await called(company, handler, MethodRequest("destroy", domain_id(7)))
    assert isinstance(answer, Failure)
    assert answer.code == code
    assert text in answer.text


async def test_an_object_that_cannot_be_told_silences_nobody(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    listener, agent = await company.listener(), await company.agent()
    agent.put(NODE, "hosta", {"memory": 2**64})
    show(agent, vm(7))
    await eventually(lambda: told_vms(listener) == [("vm7", "running")])
    assert "cannot be told" in caplog.text


async def test_what_the_bus_refuses_is_logged_and_the_agent_goes_on(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await company.listener()
    agent = await company.agent("h" * 230)
    agent.tell(DOMAIN_LIFECYCLE, {})
    await eventually(lambda: "could not be told" in caplog.text)
    await listener.ask(Address(topic_exchange(), LOCATE_KEY), LocateRequest())
    await eventually(lambda: bool(listener.answers))


async def test_an_answer_that_finds_no_room_is_given_up(
    company: Company, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmf_agent, "ANSWER_SECONDS", SHORT)
    listener = await company.listener()
    await company.agent()
    await listener.ask(TO_HOSTA, QueryRequest(What.SCHEMA_ID))
    company.broker.congested = True
    await eventually(lambda: "no answer to" in caplog.text)


async def test_more_requests_than_can_be_answered_are_dropped(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(qmf_agent, "MOST_PENDING", 2)
    handler = Recorder(pause=30.0)
    listener, agent = await company.listener(), await company.agent(handler=handler)
    show(agent, vm(7))
    for number in range(4):
        await listener.ask(TO_HOSTA, MethodRequest("destroy", domain_id(7)), str(number))
    await eventually(lambda: caplog.text.count("2 requests are being answered") == 2)
    assert len(handler.calls) == 2


async def test_it_ends_with_its_bus(company: Company) -> None:
    bus = MemoryBus(company.broker, "hosta")
    agent = QmfAgent(bus, AgentTerms(HostId("hosta"), 1))
    await bus.close()
    await asyncio.wait_for(agent.run(), 30)


async def test_it_is_deaf_while_it_does_not_run(company: Company) -> None:
    listener = await company.listener()
    _, ending = await company.mortal_agent()
    await ending.aclose()
    await listener.ask(TO_HOSTA, QueryRequest(What.SCHEMA_ID))
    await asyncio.sleep(SHORT)
    assert listener.answers == []


async def test_it_ends_though_something_happens_at_the_same_moment() -> None:
    bus = MemoryBus(MemoryBroker(), "hosta")
    agent = QmfAgent(bus, AgentTerms(HostId("hosta"), 1))
    for _ in range(3):
        running = asyncio.create_task(agent.run())
        await asyncio.sleep(0.01)
        agent.tell(DOMAIN_LIFECYCLE, {})
        await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=30)
        assert done
