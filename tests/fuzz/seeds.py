"""Writes the corpus: a few valid messages of each kind, from which the fuzzers begin.  `python -m tests.fuzz.seeds`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fencebus_schemas.digest import digest64
from fencebus_schemas.serialline import SerialRequest, pack_list_reply, pack_reply
from fencebus_schemas.xvm import ListRecord, XvmRequest, pack_records
from tests.fuzz.targets import TARGETS

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


def seeds() -> dict[str, list[bytes]]:
    """Messages for each target."""
    requests = [request.sign(_ANOTHER_KEY, number % 4).pack() for number, request in enumerate(_REQUESTS)]
    challenge = bytes(range(64))
    handshakes = [bytes([auth]) + challenge + digest64(auth + 1, b"wrong", bytes(64)) for auth in range(3)]
    lines = [SerialRequest(action, "node1", 9).pack() for action in (1, 6)]
    replies = [pack_reply(0), b"abb" + pack_reply(2), *(pack_list_reply(records) for records in _LISTS)]
    return {
        "xvm_request": requests,
        "record_list": [pack_records(records) for records in _LISTS],
        "host_handshake": handshakes,
        "guest_handshake": handshakes,
        "serial_request": [*lines, b"login: abab" + lines[0], b"".join(lines)],
        "serial_reply": replies,
        "config_grammar": list(_CONFIGS),
        "config_text": list(_CONFIGS),
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
