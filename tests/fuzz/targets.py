"""Decides what hostile bytes are fed to, and what must hold whatever they are.

Each target takes bytes and returns, or raises: then the decoder has a defect.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Generator, Iterator

from fencebus_host.config.grammar import parse
from fencebus_host.config.load import load_text
from fencebus_host.config.problems import ConfigError, Problems
from fencebus_host.config.tree import render
from fencebus_host.door import Door
from fencebus_host.replay import SeenRequests
from fencebus_host.routers.checkpoint.fragments import Assembly
from fencebus_host.routers.checkpoint.happenings import Peer
from fencebus_host.routers.ovirt import markup, readings
from fencebus_schemas import qmf2
from fencebus_schemas.digest import HASH_NAMES, HASH_NONE
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Read, Send, guest_side, host_side
from fencebus_schemas.model import Action, HostId
from fencebus_schemas.peer_codec import PREFIX, decode, encode
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.serialline import REQUEST_LENGTH as LINE_REQUEST_LENGTH
from fencebus_schemas.serialline import ReplyReader, RequestReader, SerialRequest
from fencebus_schemas.xvm import RECORD_LENGTH, REQUEST_LENGTH, ListRecord, RecordReader, XvmRequest

Target = Callable[[bytes], None]

KEY = b"the key that the fuzzer does not have"
SMALL_TEXT = 4096
"""Bytes of configuration: the parser's time grows with the length, and nothing else does."""
QMF_OPCODES = (
    "_agent_locate_request",
    "_agent_locate_response",
    "_query_request",
    "_query_response",
    "_data_indication",
    "_method_request",
    "_method_response",
    "_exception",
)
QMF_CONTENTS = ("_data", "_event", "_schema", "_schema_id", "_object_id")


def xvm_request(data: bytes) -> None:
    # Parse it, or raise WireError, never anything else; what was parsed packs to the same bytes and can be shown.
    try:
        request = XvmRequest.unpack(data)
    except WireError:
        return
    assert request.pack() == data
    assert str(request).isprintable()
    with contextlib.suppress(WireError):
        request.verify(KEY, HASH_NONE + 1)
        raise AssertionError("a signature without the key")


def record_list(data: bytes) -> None:
    # Parse it, or raise WireError, never anything else; how it was cut into pieces changes nothing.
    try:
        whole = RecordReader().feed(data)
    except WireError:
        return
    reader, pieces = RecordReader(), list[ListRecord]()
    for piece in _pieces(data):
        pieces += reader.feed(piece)
    assert pieces == whole
    assert len(whole) <= len(data) // RECORD_LENGTH


def host_handshake(data: bytes) -> None:
    # End without success or raise WireError, never anything else: nobody passes without the key.
    auth, random = _auth_of(data)
    _nobody_passes(host_side(KEY, auth, random), data, auth)


def guest_handshake(data: bytes) -> None:
    # End without success or raise WireError, never anything else: nobody passes without the key.
    auth, random = _auth_of(data)
    _nobody_passes(guest_side(KEY, auth, random), data, auth)


def serial_request(data: bytes) -> None:
    # Find requests, never raise; pieces change nothing; less than a request is held back; a request packs to itself.
    whole = RequestReader().feed(data)
    reader, pieces = RequestReader(), list[SerialRequest]()
    for piece in _pieces(data):
        pieces += reader.feed(piece)
        assert len(reader._buffer) < LINE_REQUEST_LENGTH
    assert pieces == whole
    assert all(request.pack() in data for request in whole)


def serial_reply(data: bytes) -> None:
    # Find one reply, or raise WireError, never anything else; pieces change nothing.
    whole, cut = ReplyReader(), ReplyReader()
    try:
        done = whole.feed(data)
        for piece in _pieces(data):
            cut.feed(piece)
    except WireError:
        return
    assert (cut.code, cut.records, cut.done) == (whole.code, whole.records, done)


def config_grammar(data: bytes) -> None:
    # Parse it, or say what is wrong, never raise; a tree without mistakes is said again by its own text.
    problems = Problems()
    items = parse(_text(data), "f", problems)
    if not problems.has_errors and items:
        again = Problems()
        assert render(parse(render(items), "f", again)) == render(items)
        assert not again.has_errors


def config_text(data: bytes) -> None:
    # Load it, or raise ConfigError, never anything else; an error has at least one problem and can be shown.
    try:
        config = load_text(_text(data), "f")
    except ConfigError as error:
        if not (error.problems and str(error)):
            raise AssertionError("refused without a word") from error
        return
    assert config.daemon.request_timeout > 0
    assert len({listener.name for listener in config.listeners}) == len(config.listeners)


def door(data: bytes) -> None:
    # Admit, or raise WireError, never anything else; nothing enters twice after its answer, nothing unsigned at all.
    seen = SeenRequests(25.0)
    entrance = Door((KEY, b"another"), HASH_NONE + 1, seen)
    request, is_signed = _perhaps_signed(data)
    try:
        admitted = entrance.admit(request, "192.0.2.1")
    except WireError:
        return
    assert is_signed
    assert admitted.action in Action
    seen.answered(admitted.signature)
    with contextlib.suppress(WireError):
        entrance.admit(request, "192.0.2.1")
        raise AssertionError("a replay was admitted")


def peer_message(data: bytes) -> None:
    # Read it, or raise WireError, never anything else; nothing unsigned is read; what was read can be written.
    signed, is_signed = _perhaps_signed_by_a_host(data)
    try:
        message = decode(signed, (KEY, b"another"))
    except WireError:
        return
    assert is_signed
    assert decode(encode(message, (KEY,)), (KEY,)) == message


def group_packets(data: bytes) -> None:
    # Put together what can be, or raise WireError, never anything else; no more comes out than went in.
    assembly = Assembly(HostId("me"))
    whole = 0
    for packet in _pieces(data):
        with contextlib.suppress(WireError):
            whole += sum(map(len, assembly.add(Peer(1, 1), packet)))
    assert whole <= len(data)


def qmf_message(data: bytes) -> None:
    # Read it, or raise WireError, never anything else; what was read can be written, and says the same then.
    opcode, content, body = _qmf_head(data)
    try:
        message = qmf2.decode(qmf2.Packet((("qmf.opcode", opcode), ("qmf.content", content)), *body))
        packet = qmf2.encode(message)
    except WireError:
        return
    assert qmf2.encode(qmf2.decode(packet)) == packet


def qmf_schema_request(data: bytes) -> None:
    # Read it, or raise WireError, never anything else; what was read packs to the same bytes.
    with contextlib.suppress(WireError):
        assert SchemaRequest.unpack(data).pack() == data


def manager_answer(data: bytes) -> None:
    # Read it as any answer of a manager, or raise MarkupError, never anything else; what is read can be shown.
    try:
        root = markup.parse(data)
    except markup.MarkupError:
        return
    for read in (readings.vm, readings.vms, readings.host, readings.api_version):
        with contextlib.suppress(markup.MarkupError):
            read(root)
    assert readings.fault_of(root).isprintable()
    assert readings.power_of(root).isprintable()
    readings.has_failed(root)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        xvm_request,
        record_list,
        host_handshake,
        guest_handshake,
        serial_request,
        serial_reply,
        config_grammar,
        config_text,
        door,
        peer_message,
        group_packets,
        qmf_message,
        qmf_schema_request,
        manager_answer,
    )
}


def _pieces(data: bytes) -> Iterator[bytes]:
    """The data in pieces, whose lengths are the data's own first bytes."""
    at = 0
    for length in data[:16]:
        yield data[at : at + length]
        at += length
    yield data[at:]


def _text(data: bytes) -> str:
    return data[:SMALL_TEXT].decode("utf-8", "surrogateescape")


def _auth_of(data: bytes) -> tuple[int, bytes]:
    """The auth type and our challenge: the fuzzer chooses one, and knows the other."""
    return 1 + (data[0] if data else 0) % (len(HASH_NAMES) - 1), bytes(CHALLENGE_LENGTH)


def _nobody_passes(side: Generator[Send | Read, bytes, bytes], data: bytes, auth: int) -> None:
    """Drive one side with the data, as a peer that closes at its end."""
    at = 1
    step = next(side)
    try:
        while True:
            if isinstance(step, Send):
                assert len(step.data) == CHALLENGE_LENGTH
                step = next(side)
                continue
            answer = data[at : at + step.length]
            at += step.length
            step = side.send(answer)
    except WireError:
        return
    except StopIteration:
        raise AssertionError(f"passed the handshake {HASH_NAMES[auth]} without the key") from None


def _qmf_head(data: bytes) -> tuple[str, str, tuple[str, bytes]]:
    """Opcode, content and typed body: the data's first two bytes choose, and the rest is the body."""
    first, second = data[:1] or b"\0", data[1:2] or b"\0"
    body = (qmf2.LIST if first[0] & 1 else qmf2.MAP, data[2:])
    return QMF_OPCODES[(first[0] >> 1) % len(QMF_OPCODES)], QMF_CONTENTS[second[0] % len(QMF_CONTENTS)], body


def _perhaps_signed(data: bytes) -> tuple[bytes, bool]:
    """A request in the data, signed with our key if its first byte is odd: else nothing behind the signature is
    reached.
    """
    body = data[1 : REQUEST_LENGTH + 1]
    if not data or data[0] % 2 == 0:
        return body, False
    try:
        request = XvmRequest.unpack(body)
        return request.sign(KEY, 1 + data[0] % (len(HASH_NAMES) - 1)).pack(), True
    except WireError:
        return body, False


def _perhaps_signed_by_a_host(data: bytes) -> tuple[bytes, bool]:
    """A message between hosts in the data, signed with our key if its first byte is odd."""
    if not data or data[0] % 2 == 0:
        return data[1:], False
    body = data[1:]
    return PREFIX + hmac.digest(KEY, PREFIX + body, "sha256") + body, True
