"""What an old C fence_virtd with its libvirt-qmf backend, and qpid-tool, rely on: one test each (facts: qmf2 4.3)."""

from __future__ import annotations

import time

import pytest

from fencebus_agent.bus import Address, BusMessage
from fencebus_agent.qmf_calls import ANYBODY
from fencebus_agent.qmf_desk import AgentTerms, Desk, Reaction
from fencebus_agent.qmf_domains import DomainFacts, LastFence, domain_values, owned, state_word
from fencebus_agent.qmf_wire import from_bus, to_bus
from fencebus_schemas.amqp010 import Int32, Map, decode_map
from fencebus_schemas.model import HostId, Uuid, VmState
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.qmf2_classes import CLASSES, DOMAIN, FENCE_CONTROL, NODE
from fencebus_schemas.qmf2_data import Data, ObjectId, SchemaId
from fencebus_schemas.qmf2_messages import (
    Code,
    Content,
    Failure,
    LocateRequest,
    LocateResponse,
    Message,
    MethodRequest,
    QueryRequest,
    QueryResponse,
    What,
)
from fencebus_schemas.qmf2_predicate import read_predicate
from tests.schemas.qmf1_reader import read_answer

HOST = HostId("hosta")
VM = Uuid("11111111-1111-1111-1111-111111111111")
VM_NAME = f"org.libvirt:Domain:{VM}"
CONSOLE = Address("qmf.default.direct", "qmfc-v2-host.1.1")
DOMAINS = SchemaId("org.libvirt", "Domain")
NOW = 10**18
EPOCH = 4


def facts(state: VmState = VmState.RUNNING, owner: str = HOST) -> DomainFacts:
    return DomainFacts(VM, "vm7", state, HostId(owner))


def desk_with(*domains: DomainFacts, trusted: frozenset[str] = frozenset({"admin"})) -> Desk:
    """The desk of an agent that shows these VMs."""
    desk = Desk(AgentTerms(HOST, EPOCH, trusted=trusted), NOW)
    desk.objects.show(DOMAIN, owned(HOST, domains), NOW)
    desk.objects.put(NODE, HOST, {"hostname": HOST}, NOW)
    desk.objects.put(FENCE_CONTROL, HOST, {"hostname": HOST}, NOW)
    return desk


def ask(desk: Desk, message: Message, user: str = "admin", number: str = "1795371775") -> Reaction:
    """As a console's request on the bus."""
    carried = to_bus(message, CONSOLE, number)
    return receive(desk, BusMessage(carried.body, carried.content_type, carried.headers, CONSOLE, number, user_id=user))


def receive(desk: Desk, message: BusMessage) -> Reaction:
    return desk.receive(message, NOW, 0.0)


def domains(desk: Desk, asked: SchemaId = DOMAINS) -> list[Data]:
    """What a query for Domains finds."""
    (answer,) = ask(desk, QueryRequest(What.OBJECT, asked)).answers
    said = from_bus(answer)
    assert isinstance(said, QueryResponse)
    return [one for one in said.items if isinstance(one, Data)]


def refused(reaction: Reaction) -> Failure:
    """The exception that is the answer."""
    (answer,) = reaction.answers
    said = from_bus(answer)
    assert isinstance(said, Failure)
    assert reaction.call is None
    return said


def destroy(**changes: object) -> MethodRequest:
    epoch = changes.get("epoch", 0)
    assert isinstance(epoch, int)
    return MethodRequest("destroy", ObjectId(str(changes.get("agent", "")), str(changes.get("name", VM_NAME)), epoch))


# ---- what is shown


def test_the_agent_is_found_by_the_predicate_that_an_old_daemon_sends() -> None:
    wanted = ["or", ["eq", "_product", ["quote", "libvirt-qmf"]], ["eq", "_product", ["quote", "libvirt-qpid"]]]
    reaction = ask(desk_with(), LocateRequest(read_predicate(wanted)), number="agent-locate")
    (answer,) = reaction.answers
    said = from_bus(answer)
    assert isinstance(said, LocateResponse)
    assert (str(said.attributes.name), answer.correlation_id) == ("fencebus:libvirt-qmf:hosta", "agent-locate")
    assert reaction.looked


def test_an_agent_that_is_not_looked_for_says_nothing() -> None:
    assert ask(desk_with(), LocateRequest(read_predicate(["eq", "_product", ["quote", "x"]]))).answers == ()


def test_a_domain_has_uuid_name_and_state_as_plain_text_always() -> None:
    for state in VmState:
        (one,) = domains(desk_with(facts(state)))
        assert (one.values["uuid"], one.values["name"], type(one.values["state"])) == (VM, "vm7", str)


def test_a_query_whose_class_has_no_hash_is_answered() -> None:
    assert [one.id.name for one in domains(desk_with(facts()), DOMAINS)] == [VM_NAME]
    assert domains(desk_with(facts()), SchemaId("com.redhat.libvirt", "domain")) == []


def test_a_query_for_domains_is_never_answered_with_an_exception() -> None:
    assert domains(desk_with()) == []


def test_a_thousand_domains_are_answered_within_a_second_from_memory() -> None:
    desk = desk_with()
    desk.objects.show(DOMAIN, {f"vm{number}": domain_values(facts(), HOST) for number in range(1000)}, NOW)
    began = time.process_time()
    answers = ask(desk, QueryRequest(What.OBJECT, DOMAINS)).answers
    assert time.process_time() - began < 1.0
    assert [answer.has_header("partial") for answer in answers] == [True] * (len(answers) - 1) + [False]


@pytest.mark.parametrize("state", VmState)
def test_whatever_may_live_is_running_or_paused_and_only_what_is_off_is_shut_off(state: VmState) -> None:
    values = domain_values(facts(state), HOST)
    assert (state_word(state) == "shutoff") == (state is VmState.OFF)
    assert values["state"] in ("running", "paused", "shutoff")
    assert values["active"] == ("false" if state is VmState.OFF else "true")
    assert values["detailedState"] == state.value


def test_what_is_unknown_counts_as_running_and_what_is_saved_as_paused() -> None:
    assert (state_word(VmState.UNKNOWN), state_word(VmState.SAVED)) == ("running", "paused")


def test_a_domain_appears_from_its_owner_only() -> None:
    cluster = [facts(owner="hosta"), DomainFacts(Uuid("2" * 36), "vm8", VmState.RUNNING, HostId("hostb"))]
    assert list(owned(HOST, cluster)) == [VM]
    assert list(owned(HostId("hostb"), cluster)) == ["2" * 36]
    assert domains(desk_with(facts(owner="hostb"))) == []


def test_every_value_of_a_domain_is_of_the_type_that_its_class_says() -> None:
    known = DomainFacts(VM, "vm7", VmState.RUNNING, HOST, 3, 2, 2048, 1024, 5, LastFence(NOW, "off", "r", "by", "id"))
    types = {one.name: one.type for one in DOMAIN.properties}
    for values in (domain_values(known, HOST), domain_values(facts(VmState.OFF), HOST)):
        assert all(types[name].accepts(value) for name, value in values.items())
        required = [one.name for one in DOMAIN.properties if not one.optional and not one.statistic]
        assert set(required) <= set(values)
    assert set(domain_values(known, HOST)) == set(types)
    assert domain_values(facts(VmState.OFF), HOST)["id"] == -1


def test_qpid_tool_gets_a_class_by_version_1() -> None:
    body = SchemaRequest(7, DOMAIN.id).pack()
    reply_to = Address("amq.direct", "reply-host.1.1")
    (answer,) = receive(desk_with(), BusMessage(body, "x-application/qmf", reply_to=reply_to)).answers
    assert answer.header("qmf.agent") == "fencebus:libvirt-qmf:hosta"
    assert read_answer(answer.body).name == "Domain"
    assert receive(desk_with(), BusMessage(SchemaRequest(7, DOMAINS).pack(), reply_to=reply_to)).answers == ()


def test_the_agent_says_when_its_classes_changed_from_its_first_word_on() -> None:
    assert desk_with().attributes(NOW + 1).schema_updated == NOW


def test_its_second_address_is_the_same_after_a_restart() -> None:
    again = Desk(AgentTerms(HOST, EPOCH + 1), NOW + 10**9)
    assert again.attributes(NOW).direct_subject == desk_with().attributes(NOW).direct_subject


# ---- what is done


def test_a_call_of_a_trusted_user_is_admitted() -> None:
    reaction = ask(desk_with(facts()), destroy())
    assert reaction.call is not None
    assert (reaction.call.method, reaction.call.user, reaction.call.target.values["uuid"]) == ("destroy", "admin", VM)


@pytest.mark.parametrize("user", ("", "guest"))
def test_a_call_of_nobody_or_of_somebody_else_is_forbidden(user: str) -> None:
    assert refused(ask(desk_with(facts()), destroy(), user)).code == Code.FORBIDDEN


def test_nobody_is_trusted_unless_the_configuration_says_so() -> None:
    assert refused(ask(desk_with(facts(), trusted=frozenset()), destroy())).code == Code.FORBIDDEN


def test_old_consoles_that_no_broker_vouches_for_can_be_let_in() -> None:
    assert ask(desk_with(facts(), trusted=frozenset({ANYBODY})), destroy(), "").call is not None


def test_every_exception_has_a_code_of_32_bits_and_a_text() -> None:
    desk = desk_with(facts())
    wrong = (
        ask(desk, destroy(), "guest", "1"),
        ask(desk, destroy(name="x"), number="2"),
        ask(desk, MethodRequest("explode", ObjectId("", VM_NAME)), number="3"),
        ask(desk, QueryRequest(What.SCHEMA), number="4"),
        receive(desk, BusMessage(b"?", "amqp/map", (("qmf.opcode", "_query_request"),), CONSOLE, "5")),
    )
    for reaction in wrong:
        (answer,) = reaction.answers
        values = decode_map(answer.body)["_values"]
        assert isinstance(values, dict)
        assert isinstance(values["error_code"], Int32)
        assert isinstance(values["error_text"], str)
        assert values["error_text"]


@pytest.mark.parametrize(
    ("request_", "code"),
    (
        (destroy(epoch=EPOCH - 1), Code.UNKNOWN_OBJECT),
        (destroy(agent="fencebus:libvirt-qmf:hostb"), Code.UNKNOWN_OBJECT),
        (destroy(name="org.libvirt:Domain:other"), Code.UNKNOWN_OBJECT),
        (MethodRequest("undefine", ObjectId("", VM_NAME)), Code.UNKNOWN_METHOD),
        (MethodRequest("destroy", ObjectId("", VM_NAME), {"hard": True}), Code.INVALID_PARAMETER),
        (MethodRequest("status"), Code.INVALID_PARAMETER),
        (MethodRequest("status", None, {"target": 7}), Code.INVALID_PARAMETER),
    ),
)
def test_a_call_that_does_not_fit_is_refused_and_reaches_nobody(request_: MethodRequest, code: Code) -> None:
    assert refused(ask(desk_with(facts()), request_)).code == code


def test_the_present_epoch_and_none_are_accepted() -> None:
    for epoch in (0, EPOCH):
        assert ask(desk_with(facts()), destroy(epoch=epoch)).call is not None


def test_destroy_and_create_need_no_arguments() -> None:
    for name in ("create", "destroy"):
        method = DOMAIN.method(name)
        assert method is not None
        assert method.arguments == ()


def test_a_call_without_an_object_is_for_the_fencing_service_of_the_host() -> None:
    reaction = ask(desk_with(facts()), MethodRequest("status", None, {"target": "vm7"}))
    assert reaction.call is not None
    assert reaction.call.target.schema == FENCE_CONTROL.id
    empty = Desk(AgentTerms(HOST, EPOCH, trusted=frozenset({"admin"})), NOW)
    assert refused(ask(empty, MethodRequest("status", None, {"target": "vm7"}))).code == Code.UNKNOWN_OBJECT


def test_a_call_that_comes_twice_is_carried_out_once() -> None:
    desk = desk_with(facts())
    assert ask(desk, destroy()).call is not None
    assert ask(desk, destroy()) == Reaction(ignored="the call came before")
    assert ask(desk, destroy(), number="another").call is not None


def test_calls_without_a_number_are_not_taken_for_each_other() -> None:
    desk = desk_with(facts())
    assert all(ask(desk, destroy(), number="").call for _ in range(2))


# ---- what is hostile or meant for others


@pytest.mark.parametrize(
    "reply_to", (None, Address("qmf.default.topic", "agent.ind.heartbeat.x"), Address("", "queue"))
)
def test_a_request_that_cannot_be_answered_to_a_console_is_dropped(reply_to: Address | None) -> None:
    carried = to_bus(destroy(), reply_to, "1")
    reaction = receive(desk_with(facts()), BusMessage(carried.body, carried.content_type, carried.headers, reply_to))
    assert (reaction.answers, reaction.call) == ((), None)


@pytest.mark.parametrize(
    ("opcode", "body"),
    (("_subscribe_request", b""), ("_agent_locate_request", b"?"), ("_method_response", b""), ("", b"AM2S")),
)
def test_what_is_no_request_or_no_message_at_all_is_dropped(opcode: str, body: bytes) -> None:
    headers = (("qmf.opcode", opcode),) if opcode else ()
    reaction = receive(desk_with(), BusMessage(body, "amqp/map", headers, CONSOLE))
    assert (reaction.answers, reaction.call, bool(reaction.ignored)) == ((), None, True)


def test_the_answers_of_other_agents_are_nothing_to_this_one() -> None:
    said: tuple[Message, ...] = (QueryResponse("a:b:c", Content.DATA), Failure("a:b:c", 6, "x"))
    for one in said:
        assert ask(desk_with(), one) == Reaction(ignored="no request")


def test_every_class_that_is_shown_is_one_that_is_described() -> None:
    shown: Map = {one.schema.class_name: str(one.schema.hash) for one in desk_with(facts()).objects.of(None)}
    assert shown == {name: str(one.id.hash) for one in CLASSES if (name := one.id.class_name) in shown}
