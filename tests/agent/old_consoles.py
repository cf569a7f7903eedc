"""What two kinds of old consoles require of each message, and what an old daemon does with what it reads.

Written down from what is known of them (facts: qmf2 3.2, 3.5, 3.8, 4.3), so that each step can fail where they would
end or drop a message.  The real ones are driven where a broker of theirs is at hand.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from fencebus_agent.bus import Address, Bus, BusMessage, Priority, direct_exchange, topic_exchange
from fencebus_schemas.amqp010 import Int32, Map, Value, decode_list, decode_map, encode_list, encode_map
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.qmf2_data import SchemaId
from tests.hypervisors import soon
from tests.schemas.qmf1_reader import SchemaAnswer, read_answer

ALIVE_WORDS = ("running", "idle", "paused", "no state")
"""An old daemon takes a VM for alive in these states only."""


def text(value: object) -> str:
    """A text that is a text: opaque bytes would compare unequal under Python 3."""
    assert isinstance(value, str), value
    return value


def mapped(value: Value) -> Map:
    """A map that is one."""
    assert isinstance(value, dict), value
    return value


def header(message: BusMessage, name: str) -> str:
    """A header that every reader requires."""
    return text(message.header(name))


def check_common(message: BusMessage) -> None:
    """What both require of all messages of an agent."""
    assert message.app_id == "qmf2"
    assert message.content_type in ("amqp/map", "amqp/list")
    assert header(message, "qmf.opcode")
    assert header(message, "qmf.agent").count(":") >= 2


def check_attributes(message: BusMessage) -> Map:
    """A heartbeat or an answer to a look for agents."""
    assert message.content_type == "amqp/map"
    values = mapped(decode_map(message.body)["_values"])
    for name in ("_vendor", "_product", "_instance", "_name"):
        text(values[name])
    for name in ("_timestamp", "_heartbeat_interval", "_epoch", "_schema_updated"):
        assert isinstance(values[name], int)
    assert (values["_vendor"], values["_product"]) != ("apache.org", "qpidd")
    assert values["_name"] == header(message, "qmf.agent")
    return values


def check_objects(message: BusMessage) -> list[Map]:
    """A list of objects: whatever lacks a field costs the console the whole list."""
    assert message.content_type == "amqp/list"
    items = [mapped(item) for item in decode_list(message.body)]
    for item in items:
        mapped(item["_values"])
        schema = mapped(item["_schema_id"])
        assert isinstance(schema["_hash"], uuid.UUID)
        text(schema["_package_name"])
        text(schema["_class_name"])
        text(mapped(item["_object_id"])["_object_name"])
        assert mapped(item["_object_id"])["_agent_name"] == header(message, "qmf.agent")
        for name in ("_create_ts", "_update_ts", "_delete_ts"):
            assert isinstance(item[name], int)
    return items


def check_event(message: BusMessage) -> Map:
    """One event, as qpid-printevents reads it; its key has at least three words after ``agent.ind.event``."""
    (item,) = decode_list(message.body)
    event = mapped(item)
    assert isinstance(event["_timestamp"], int)
    assert isinstance(event["_severity"], int)
    mapped(event["_values"])
    assert len(message.to.key.split(".")) == 9
    return event


def check_failure(message: BusMessage) -> tuple[int, str]:
    """An exception: without both fields an old daemon ends, and another width is another code."""
    values = mapped(decode_map(message.body)["_values"])
    assert isinstance(values["error_code"], Int32)
    return int(values["error_code"]), text(values["error_text"])


def check_values(values: Map, schema: SchemaAnswer) -> None:
    """As ``show`` prints them: a value of the wrong type ends the whole of it."""
    types = {item["name"]: item["type"] for item in (*schema.properties, *schema.statistics)}
    required = {item["name"] for item in schema.properties if not item["optional"]}
    assert required <= set(values)
    for name, value in values.items():
        expected: dict[Value, type | tuple[type, ...]] = {6: str, 7: str, 11: bool, 10: dict, 21: list}
        assert isinstance(value, expected.get(types[name], int)), (name, value)


@dataclass
class QpidTool:
    """Keeps what it would list: objects that were indicated, of classes that version 1 described."""

    bus: Bus
    agents: dict[str, Map] = field(default_factory=dict)
    schemas: dict[uuid.UUID, SchemaAnswer] = field(default_factory=dict)
    objects: dict[str, Map] = field(default_factory=dict)
    events: list[Map] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._version_1 = Address("amq.direct", "reply-host.1.1")
        self._tasks: set[asyncio.Task[None]] = set()
        self.bus.subscribe(Address(topic_exchange(), "agent.ind.heartbeat.#"), self._heard)
        self.bus.subscribe(Address(topic_exchange(), "agent.ind.data.#"), self._indicated)
        self.bus.subscribe(Address(topic_exchange(), "agent.ind.event.*.*.*.#"), self._happened)
        self.bus.subscribe(self._version_1, self._described)

    def knows(self, agent: str) -> bool:
        """True if it has heard of the agent."""
        return agent in self.agents

    def _heard(self, message: BusMessage) -> None:
        check_common(message)
        self.agents[header(message, "qmf.agent")] = check_attributes(message)

    def _indicated(self, message: BusMessage) -> None:
        check_common(message)
        assert message.correlation_id == ""
        if header(message, "qmf.agent") not in self.agents:
            return
        for item in check_objects(message):
            self.objects[text(mapped(item["_object_id"])["_object_name"])] = item
            self._want(message, mapped(item["_schema_id"]))

    def _want(self, message: BusMessage, schema: Map) -> None:
        """Ask for a class that is not known yet, by version 1."""
        hash_id = schema["_hash"]
        assert isinstance(hash_id, uuid.UUID)
        if hash_id not in self.schemas:
            named = SchemaId(text(schema["_package_name"]), text(schema["_class_name"]), hash=hash_id)
            asked = BusMessage(SchemaRequest(1, named).pack(), "x-application/qmf", reply_to=self._version_1)
            to = Address(direct_exchange(), header(message, "qmf.agent"))
            task = asyncio.ensure_future(self.bus.send(to, asked, soon(), Priority.COMMAND))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _described(self, message: BusMessage) -> None:
        assert header(message, "qmf.agent") in self.agents
        answer = read_answer(message.body)
        self.schemas[answer.hash] = answer

    def _happened(self, message: BusMessage) -> None:
        check_common(message)
        self.events.append(check_event(message))

    def listed(self, package: str, name: str) -> dict[str, Map]:
        """The values of the objects of a class that it lists as active, checked as ``show`` would."""
        found = {}
        for object_name, item in self.objects.items():
            schema = mapped(item["_schema_id"])
            hash_id = schema["_hash"]
            assert isinstance(hash_id, uuid.UUID)
            described = self.schemas.get(hash_id)
            is_asked = (schema["_package_name"], schema["_class_name"]) == (package, name)
            if is_asked and described is not None and not item["_delete_ts"]:
                check_values(mapped(item["_values"]), described)
                found[object_name] = mapped(item["_values"])
        return found


class OldDaemon:
    """The C fence_virtd with its libvirt-qmf backend, as it goes about a request."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._reply = Address(topic_exchange(), "direct-console.4d2")
        self._answers: asyncio.Queue[BusMessage] = asyncio.Queue()
        self._number = 0
        bus.subscribe(self._reply, self._answers.put_nowait)

    async def agents(self, count: int) -> list[str]:
        """The agents that answer its look, in the order of their names."""
        wanted: list[Value] = ["eq", "_product", ["quote", "libvirt-qmf"]]
        headers = (("qmf.opcode", "_agent_locate_request"), ("method", "request"))
        look = BusMessage(encode_list(wanted), "amqp/list", headers, self._reply, "agent-locate", "qmf2")
        await self._bus.send(Address(topic_exchange(), "console.request.agent_locate"), look, soon(), Priority.COMMAND)
        found = []
        for _ in range(count):
            answer = await asyncio.wait_for(self._answers.get(), 30)
            check_common(answer)
            assert answer.correlation_id == "agent-locate"
            found.append(text(check_attributes(answer)["_name"]))
        return sorted(found)

    async def fence(self, target: str, action: str, agents: list[str]) -> int:
        """0 or the code that it would exit with; 1 where no agent has the target."""
        name = "uuid" if target.count("-") == 4 else "name"
        for agent in agents:
            for item in await self._domains(agent):
                values = mapped(item["_values"])
                if text(values[name]) == target:
                    return await self._act(agent, item, text(values["state"]), action)
        return 1

    async def _act(self, agent: str, item: Map, state: str, action: str) -> int:
        is_alive = state in ALIVE_WORDS
        if (action == "off") != is_alive:
            return 0
        method = "destroy" if action == "off" else "create"
        answer = await self._ask(agent, "_method_request", {"_object_id": item["_object_id"], "_method_name": method})
        if header(answer, "qmf.opcode") == "_exception":
            return check_failure(answer)[0]
        mapped(decode_map(answer.body)["_arguments"])
        return 0

    async def _domains(self, agent: str) -> list[Map]:
        asked: Map = {"_what": b"OBJECT", "_schema_id": {"_package_name": b"org.libvirt", "_class_name": b"Domain"}}
        items: list[Map] = []
        answer = await self._ask(agent, "_query_request", asked)
        while True:
            # An exception counts as one VM here: it would be the whole host list.
            assert header(answer, "qmf.opcode") == "_query_response"
            assert header(answer, "qmf.content") == "_data"
            items += check_objects(answer)
            if not answer.has_header("partial"):
                return items
            answer = await asyncio.wait_for(self._answers.get(), 30)

    async def _ask(self, agent: str, opcode: str, body: Map) -> BusMessage:
        self._number += 1
        headers = (("qmf.opcode", opcode), ("method", "request"))
        asked = BusMessage(encode_map(body), "amqp/map", headers, self._reply, str(self._number), "qmf2")
        await self._bus.send(Address(direct_exchange(), agent), asked, soon(), Priority.COMMAND)
        answer = await asyncio.wait_for(self._answers.get(), 30)
        check_common(answer)
        assert answer.correlation_id == str(self._number)
        return answer
