"""Writes the corpus: a few valid messages of each kind, from which the fuzzers begin.  `python -m tests.fuzz.seeds`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fencebus_host.routers.checkpoint.fragments import split
from fencebus_schemas import peer, qmf2, qmf2_messages
from fencebus_schemas.digest import digest64
from fencebus_schemas.model import (
    Action,
    HostId,
    Incarnation,
    Life,
    Observation,
    Proof,
    Reason,
    RequestId,
    Sight,
    Source,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer_codec import HEAD_LENGTH, encode
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import DOMAIN, DOMAIN_LIFECYCLE
from fencebus_schemas.qmf2_data import Data, Event, ObjectId
from fencebus_schemas.qmf2_names import AgentName
from fencebus_schemas.qmf2_predicate import read_predicate
from fencebus_schemas.serialline import SerialRequest, pack_list_reply, pack_reply
from fencebus_schemas.xvm import ListRecord, XvmRequest, pack_records
from tests.fuzz.targets import QMF_CONTENTS, QMF_OPCODES, TARGETS

CORPUS = Path(__file__).parent / "corpus"

_UUID = "11111111-1111-1111-1111-111111111111"
_ANOTHER_KEY = b"a key that no target has"
_RANDOM = bytes(range(6))
_REQUESTS = (
    XvmRequest(1, "node1", random=_RANDOM, seqno=7),
    XvmRequest(2, _UUID, random=_RANDOM, seqno=8, flags=1),
    XvmRequest(4, "ü" * 31, address=bytes((192, 0, 2, 1)), family=2, port=1229, random=_RANDOM),
    XvmRequest(6, "", address=bytes(15) + b"\1", family=10, port=1229),
)
_LISTS = ((), (ListRecord("node1", _UUID, 1),), (ListRecord("n" * 63, _UUID, 5), ListRecord("x", "", 3)))
_CONFIGS = (
    b"",
    b'fence_virtd { listener = "multicast"; backend = "libvirt"; }\n',
    b'listeners {\n\tmulticast "br1" { interface = "br1"; key_file = "/etc/k"; }\n\ttcp { port = "1229"; }\n}\n',
    b'backends { libvirt { uri = "test:///default"; uri1 = "qemu:///system"; } }\n# a comment\n',
    b'groups { group { name = "a"; ip = "192.0.2.0/24"; uuid = "node1"; uuid = "node2"; } }\n',
    b'fence_virtd { listener = "tcp"; state_dir = "/s"; request_timeout = "9"; debug = "3"; }\n',
    b'listeners { serial { path = "/p"; mode = "vmchannel"; } vsock { port = "1"; hash = "sha512"; } }\n',
)

_ANSWERS = (
    f'<vm id="{_UUID}"><name>a</name><status>up</status><start_time>2026-01-02T03:04:05Z</start_time></vm>',
    f'<vms><vm id="{_UUID}"><status><state>down</state></status></vm></vms>',
    '<api><product_info><version major="3"/></product_info></api>',
    "<api><product_info><version><major>4</major></version></product_info></api>",
    "<action><power_management><status>off</status></power_management><status>complete</status></action>",
    "<action><status>failed</status><fault><reason>a</reason><detail>b</detail></fault></action>",
    "<host><name>h</name><status>up</status></host>",
    '<!DOCTYPE vm [<!ENTITY a "aaaa">]><vm>&a;</vm>',
    "<html><head><title>Error</title></head></html>",
)


def _between_hosts() -> tuple[peer.Message, ...]:
    a, b, vm, request = HostId("a"), HostId("b"), Uuid(_UUID), RequestId("r1")
    on_a, on_b = Incarnation("boot", "machine", "nonce"), Incarnation("b", "m", "n")
    record = VmRecord(vm, "node1", VmState.RUNNING, a, on_a, 3, "cluster")
    foreign = VmRecord(vm, "\udcff", VmState.OFF, b, on_b, hypervisor="test:///default")
    gone, back = peer.Forgotten(b, 1), peer.Forgotten(b, 2, True)
    quote = peer.Quote("token", on_b, 24.5, 0.25)
    life = Life("1:2", 99.5)
    sight = Sight(vm, VmState.PAUSED, True, True, life, ("old",), ("?",), "paused for migration")
    seen = Observation(vm, VmState.OFF, a, on_a, Proof.PROCESS_EXIT, 100.5, False, VmState.RUNNING, life, "gone")
    source = Source("192.0.2.7", vm, "node2", True)
    order = (source, "cluster", "node1", "tcp")
    return (
        peer.Announce(a, on_a, peer.EVERYONE, 4, "digest", "members", "token"),
        peer.Fetch(a, on_a, b),
        peer.Inventory(a, on_a, b, 4, "digest", (record, foreign), (a, b), (gone, back)),
        peer.Change(a, on_a, peer.EVERYONE, 5, "digest", record, True),
        peer.Guard(a, on_a, b, request, 1, peer.Purpose.FENCE, vm, vm, "members", 3.5, quote),
        peer.GuardAnswer(a, on_a, b, request, 1, 3.5, "token", "serial", sight, None, True, True, (a, b), (gone,)),
        peer.Fence(a, on_a, b, request, "identity", Action.OFF, vm, *order, ("1:2",), 2.0, quote),
        peer.FenceAnswer(a, on_a, b, request, "token", seen, Reason.DENIED, "no"),
        peer.Start(a, on_a, b, request, "identity", vm, "serial", *order, quote),
        peer.StartAnswer(a, on_a, b, request, "token", None, Reason.STALE_COMMAND),
        peer.Rehearse(a, on_a, peer.EVERYONE, request, vm, *order),
        peer.Rehearsed(a, on_a, b, request, sight, Reason.DENIED),
        peer.Lift(a, on_a, b, request, vm),
        peer.Outcome(a, on_a, peer.EVERYONE, request, "identity", True, Reason.PROVEN_OFF, "off", 60.0),
        peer.Forget(a, on_a, peer.EVERYONE, (gone, back)),
    )


def qmf_input(packet: qmf2.Packet) -> bytes:
    """The packet as the target qmf_message takes it."""
    opcode = QMF_OPCODES.index(packet.header("qmf.opcode")) << 1 | (packet.content_type == qmf2.LIST)
    content = packet.header("qmf.content")
    return bytes((opcode, QMF_CONTENTS.index(content) if content else 0)) + packet.body


def _qmf_messages() -> tuple[qmf2_messages.Message, ...]:
    agent = AgentName("fencebus", "libvirt-qmf", "a")
    name, attributes = str(agent), AgentAttributes(agent, 1, 60, direct_subject="d")
    schema, vm = DOMAIN.id, ObjectId(str(agent), f"org.libvirt:Domain:{_UUID}", 1)
    domain = Data(vm, schema, {"uuid": _UUID, "name": "vm7", "id": -1, "node": {"_object_name": "n"}}, 1, 2, 3)
    where = read_predicate(["and", ["eq", "name", ["quote", "vm7"]], ["not", ["exists", "x"]]])
    event = Event(DOMAIN_LIFECYCLE.id, {"uuid": _UUID, "ok": True, "load": 0.5, "none": None}, 1)
    content = qmf2_messages.Content
    return (
        qmf2_messages.LocateRequest(where),
        qmf2_messages.LocateResponse(name, attributes),
        qmf2_messages.QueryRequest(qmf2_messages.What.OBJECT, schema, vm, where),
        qmf2_messages.QueryResponse(name, content.SCHEMA_ID, (schema,)),
        qmf2_messages.QueryResponse(name, content.SCHEMA, (DOMAIN,)),
        qmf2_messages.Indication(name, content.DATA, (domain,)),
        qmf2_messages.Indication(name, content.EVENT, (event,)),
        qmf2_messages.MethodRequest("destroy", vm, {"list": [1]}),
        qmf2_messages.MethodResponse(name, {"description": "<domain/>"}),
        qmf2_messages.Failure(name, 6, "Forbidden"),
    )


def seeds() -> dict[str, list[bytes]]:
    """Messages for each target."""
    requests = [request.sign(_ANOTHER_KEY, number % 4).pack() for number, request in enumerate(_REQUESTS)]
    challenge = bytes(range(64))
    handshakes = [bytes([auth]) + challenge + digest64(auth + 1, b"wrong", bytes(64)) for auth in range(3)]
    lines = [SerialRequest(action, "node1", 9).pack() for action in (1, 6)]
    replies = [pack_reply(0), b"abb" + pack_reply(2), *(pack_list_reply(records) for records in _LISTS)]
    between_hosts = [encode(message, (_ANOTHER_KEY,)) for message in _between_hosts()]
    return {
        "xvm_request": requests,
        "record_list": [pack_records(records) for records in _LISTS],
        "host_handshake": handshakes,
        "guest_handshake": handshakes,
        "serial_request": [*lines, b"login: abab" + lines[0], b"".join(lines)],
        "serial_reply": replies,
        "config_grammar": list(_CONFIGS),
        "config_text": list(_CONFIGS),
        "peer_message": [b"\1" + message[HEAD_LENGTH:] for message in between_hosts] + [b"\0" + between_hosts[0]],
        "group_packets": [bytes([32]) * 16 + b"".join(split(b"message" * 9, HostId("me"), 1, 32))],
        "qmf_message": [qmf_input(qmf2.encode(message)) for message in _qmf_messages()],
        "qmf_schema_request": [SchemaRequest(7, one.id).pack() for one in (DOMAIN, DOMAIN_LIFECYCLE)],
        "manager_answer": [answer.encode() for answer in _ANSWERS],
        "door": [bytes([number]) + request for number, request in enumerate(requests)],
    }


def corpus_of(target: str) -> Sequence[Path]:
    """The committed files of one target."""
    return sorted((CORPUS / target).iterdir())


def write() -> None:
    """Put every seed in its place; files that fuzzing added stay."""
    for target in TARGETS:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds()[target]:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    write()
