"""Converts host-to-host messages to signed bytes and back.

A message is ``fbus``, one byte of version, 32 bytes of HMAC-SHA256, and canonical JSON.  The code covers every other
byte.  It is verified before anything behind it is looked at (S11): whoever has no key reaches no parser.

Versions: what is added within a version has a default, is ignored by who does not know it, and is left out where it
has that default.  A version that must break this rule counts the byte up; it has to write the version before as long
as a member speaks it, because a greater byte is refused.

Codes of the WireError: ``length``, ``magic``, ``version``, ``signature``, ``json``, ``kind``, ``missing``, ``type``,
``range``, and ``key`` where there is none to sign or verify with.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId, Observation, VmRecord
from fencebus_schemas.peer import Change, Inventory, Message
from fencebus_schemas.peer_fields import BODIES, HOST, INCARNATION, NOBODY, OBSERVATION
from fencebus_schemas.strict_json import Shape, Text, dump, load

MAGIC = b"fbus"
VERSION = 1
PREFIX = MAGIC + bytes((VERSION,))
SIGNATURE_LENGTH = 32
HEAD_LENGTH = len(PREFIX) + SIGNATURE_LENGTH
MOST_BYTES = 8 << 20
"""Of one message: twenty thousand VMs with long names."""

HEADER = {"sender": HOST, "incarnation": INCARNATION, "to": Text(255, printable=True)}
SHAPES = {message.__name__: Shape(message, {**HEADER, **body}) for message, body in BODIES.items()}


def encode(message: Message, keys: Sequence[bytes]) -> bytes:
    """Sign with the first of ``keys``.

    Raises WireError for a message that a peer would have to refuse: too many records, names of absurd length.
    """
    _check(keys)
    kind = type(message).__name__
    shape = SHAPES.get(kind)
    if shape is None:
        raise WireError("kind", f"no message between hosts: {kind}")
    body = dump({"kind": kind, "is": shape.plain(_anonymous(message))})
    if len(body) + HEAD_LENGTH > MOST_BYTES:
        raise WireError("length", f"a message of {len(body)} bytes")
    return PREFIX + _signature(keys[0], PREFIX, body) + body


def decode(data: bytes, keys: Sequence[bytes]) -> Message:
    """The message in ``data``, if one of ``keys`` has signed it.  Raises WireError."""
    _check(keys)
    if not HEAD_LENGTH < len(data) <= MOST_BYTES:
        raise WireError("length", f"a message of {len(data)} bytes")
    prefix, signature, body = data[: len(PREFIX)], data[len(PREFIX) : HEAD_LENGTH], data[HEAD_LENGTH:]
    if prefix[: len(MAGIC)] != MAGIC:
        raise WireError("magic", "no message between hosts")
    if prefix != PREFIX:
        raise WireError("version", f"version {prefix[-1]}, and this is {VERSION}")
    # Every key is tried, whichever fits: which one a peer signs with is nobody's business.
    if True not in [hmac.compare_digest(_signature(key, prefix, body), signature) for key in keys]:
        raise WireError("signature", "signed with none of the keys")
    return _read(load(body))


def dump_observation(observation: Observation) -> str:
    """An observation as JSON, for the disk.  Raises WireError."""
    return dump(OBSERVATION.plain(observation)).decode("ascii")


def load_observation(text: str) -> Observation:
    """The observation that ``dump_observation`` wrote.  Raises WireError."""
    try:
        found = OBSERVATION.read(load(text.encode("ascii")))
    except UnicodeEncodeError as error:
        raise WireError("json", "no JSON: not ASCII") from error
    assert isinstance(found, Observation)
    return found


def _check(keys: Sequence[bytes]) -> None:
    if not keys or not all(keys):
        raise WireError("key", "there is no bus without a key")


def _signature(key: bytes, prefix: bytes, body: bytes) -> bytes:
    signing = _begun(key).copy()
    signing.update(prefix + body)
    return signing.digest()


@lru_cache(maxsize=8)
def _begun(key: bytes) -> hmac.HMAC:
    """The code of nothing yet: a copy costs half of what OpenSSL takes to look the algorithm up and take in the key."""
    return hmac.new(key, digestmod="sha256")


def _read(plain: object) -> Message:
    if not isinstance(plain, dict):
        raise WireError("type", "the body is no object")
    kind = plain.get("kind")
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise WireError("kind", f"unknown kind of message {repr(kind)[:40]}")
    message = shape.read(plain.get("is"))
    assert isinstance(message, Message)
    return _with_names(message)


# -- a record says whose it is only if it is not the sender's ----------


def _anonymous(message: Message) -> Message:
    if isinstance(message, Inventory):
        return replace(message, records=tuple(_without_name(message, record) for record in message.records))
    if isinstance(message, Change):
        return replace(message, record=_without_name(message, message.record))
    return message


def _with_names(message: Message) -> Message:
    if isinstance(message, Inventory):
        return replace(message, records=tuple(_with_name(message, record) for record in message.records))
    if isinstance(message, Change):
        return replace(message, record=_with_name(message, message.record))
    return message


def _without_name(message: Message, record: VmRecord) -> VmRecord:
    host = HostId("") if record.host == message.sender else record.host
    incarnation = NOBODY if record.incarnation == message.incarnation else record.incarnation
    return replace(record, host=host, incarnation=incarnation)


def _with_name(message: Message, record: VmRecord) -> VmRecord:
    incarnation = message.incarnation if record.incarnation == NOBODY else record.incarnation
    return replace(record, host=record.host or message.sender, incarnation=incarnation)
