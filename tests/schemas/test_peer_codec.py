"""Messages between hosts as signed bytes."""

from __future__ import annotations

import hmac
import typing
from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencebus_schemas import peer, peer_fields
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import (
    HostId,
    Incarnation,
    Observation,
    Proof,
    Reason,
    RequestId,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import EVERYONE, Announce, Change, FenceAnswer, Fetch, Inventory, Message
from fencebus_schemas.peer_codec import (
    HEAD_LENGTH,
    HEADER,
    MAGIC,
    MOST_BYTES,
    SHAPES,
    decode,
    dump_observation,
    encode,
    load_observation,
)
from fencebus_schemas.strict_json import Shape, dump
from tests.schemas.peer_strategies import MESSAGES, message_of, messages, observations

KEY, OLD_KEY, OTHER_KEY = b"the bus key", b"the key before", b"a stranger's key"
KEYS = (KEY, OLD_KEY)
A, B = HostId("a"), HostId("b")
ON_A, ON_B = Incarnation("1", "2", "3"), Incarnation("4", "5", "6")
VM = Uuid("11111111-1111-1111-1111-111111111111")
FETCH = Fetch(A, ON_A, B)


def code(data: bytes, keys: tuple[bytes, ...] = KEYS) -> str:
    with pytest.raises(WireError) as caught:
        decode(data, keys)
    return caught.value.code


def signed(body: bytes, version: int = 1) -> bytes:
    """A message of somebody who has the key, and no sense."""
    prefix = MAGIC + bytes((version,))
    return prefix + hmac.digest(KEY, prefix + body, "sha256") + body


# -- every message ----------


@pytest.mark.parametrize("kind", MESSAGES)
def test_every_kind_comes_back_as_it_went(kind: type[Message]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(message_of(kind))
    def holds(message: Message) -> None:
        data = encode(message, KEYS)
        assert decode(data, KEYS) == message
        assert encode(decode(data, KEYS), KEYS) == data

    holds()


def kinds_in(module: object) -> Iterator[type[Message]]:
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Message) and each is not Message:
            yield each


def test_no_message_and_no_field_is_missing() -> None:
    assert set(kinds_in(peer)) == set(MESSAGES)
    shapes = [each for each in vars(peer_fields).values() if isinstance(each, Shape)]
    for shape in (*shapes, *SHAPES.values()):
        assert set(shape.kinds) == {each.name for each in fields(shape.made)}
    assert set(HEADER) == {each.name for each in fields(Message)}


@settings(max_examples=60, deadline=None)
@given(messages(), st.data())
def test_no_changed_byte_passes(message: Message, data: st.DataObject) -> None:
    good = bytearray(encode(message, KEYS))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    assert code(bytes(good)) in ("magic", "version", "signature")


@settings(max_examples=60, deadline=None)
@given(messages(), st.data())
def test_no_cut_message_passes(message: Message, data: st.DataObject) -> None:
    good = encode(message, KEYS)
    assert code(good[: data.draw(st.integers(0, len(good) - 1))]) in ("length", "signature")
    assert code(good + b" ") == "signature"


@settings(max_examples=30, deadline=None)
@given(messages())
def test_nobody_without_the_key_is_heard(message: Message) -> None:
    assert code(encode(message, (OTHER_KEY,))) == "signature"


# -- keys ----------


def test_the_first_key_signs_and_all_verify_so_that_keys_rotate_without_a_gap() -> None:
    assert decode(encode(FETCH, (OLD_KEY, KEY)), KEYS) == FETCH
    assert decode(encode(FETCH, KEYS), (OLD_KEY, KEY)) == FETCH
    assert code(encode(FETCH, KEYS), (OLD_KEY,)) == "signature"


@pytest.mark.parametrize("keys", ((), (b"",), (KEY, b"")))
def test_there_is_no_bus_without_a_key(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError) as caught:
        encode(FETCH, keys)
    assert caught.value.code == "key"
    assert code(encode(FETCH, KEYS), keys) == "key"


def test_a_key_is_in_no_error() -> None:
    with pytest.raises(WireError) as caught:
        decode(encode(FETCH, (OTHER_KEY,)), KEYS)
    assert "key" in str(caught.value)
    assert not any(key.decode() in str(caught.value) for key in (*KEYS, OTHER_KEY))


# -- versions ----------


def test_a_greater_version_is_refused_before_its_signature_is_looked_at() -> None:
    assert code(signed(b"{}", version=2)) == "version"


def test_the_version_is_under_the_signature() -> None:
    data = bytearray(signed(b"{}", version=2))
    data[len(MAGIC)] = 1
    assert code(bytes(data)) == "signature"


def test_what_a_later_version_adds_is_ignored() -> None:
    plain = {"kind": "Fetch", "is": {**_plain(FETCH), "reason": "curiosity"}, "added": 1}
    assert decode(signed(dump(plain)), KEYS) == FETCH


def test_what_a_former_version_did_not_have_has_its_default() -> None:
    answer = FenceAnswer(A, ON_A, B, RequestId("1"), "token", None, Reason.DENIED, "no")
    plain = _plain(answer)
    del plain["refusal"], plain["text"]
    assert decode(signed(dump({"kind": "FenceAnswer", "is": plain})), KEYS) == replace(answer, refusal=None, text="")


def _plain(message: Message) -> dict[str, object]:
    plain = SHAPES[type(message).__name__].plain(message)
    assert isinstance(plain, dict)
    return plain


# -- hostile, though signed ----------


@pytest.mark.parametrize(
    ("body", "expected"),
    (
        (b"[]", "type"),
        (b"{", "json"),
        (b"[" * 200_000, "json"),
        (b'{"kind":"Nonsense","is":{}}', "kind"),
        (b'{"kind":["Fetch"],"is":{}}', "kind"),
        (b'{"is":{}}', "kind"),
        (b'{"kind":"Message","is":{}}', "kind"),
        (b'{"kind":"Fetch"}', "type"),
        (b'{"kind":"Fetch","is":{}}', "missing"),
        (
            b'{"kind":"Fetch","is":{"sender":"","to":"b","incarnation":{"boot_id":"","machine_id":"","nonce":""}}}',
            "range",
        ),
        (
            b'{"kind":"Fetch","is":{"sender":1,"to":"b","incarnation":{"boot_id":"","machine_id":"","nonce":""}}}',
            "type",
        ),
        (b'{"kind":"Fetch","is":{"sender":"a\\n","to":"b","incarnation":null}}', "range"),
    ),
)
def test_nonsense_is_refused_though_it_is_signed(body: bytes, expected: str) -> None:
    assert code(signed(body)) == expected


@pytest.mark.parametrize("uuid", ("vm1", VM.upper().replace("1", "A"), VM + " ", 5))
def test_a_vm_that_is_no_uuid_is_refused(uuid: object) -> None:
    plain = _plain(Change(A, ON_A, EVERYONE, 1, "d", VmRecord(VM, "vm", VmState.OFF, A, ON_A)))
    plain["record"] = {**typing.cast("dict[str, object]", plain["record"]), "uuid": uuid}
    assert code(signed(dump({"kind": "Change", "is": plain}))) in ("range", "type")


def test_lengths_are_looked_at_before_anything_else() -> None:
    assert code(b"") == code(bytes(HEAD_LENGTH)) == code(bytes(MOST_BYTES + 1)) == "length"
    assert code(bytes(HEAD_LENGTH + 1)) == "magic"


def test_what_no_peer_would_take_is_not_sent() -> None:
    record = VmRecord(VM, "n" * 4096, VmState.OFF, A, ON_A)
    endless = Inventory(A, ON_A, B, 1, "d", (record,) * 2500, (), ())
    with pytest.raises(WireError) as caught:
        encode(endless, KEYS)
    assert caught.value.code == "length"
    with pytest.raises(WireError) as caught:
        encode(Message(A, ON_A, B), KEYS)
    assert caught.value.code == "kind"


def test_a_long_explanation_is_cut_and_makes_no_answer_fail() -> None:
    answer = FenceAnswer(A, ON_A, B, RequestId("1"), "token", None, text="because " * 10_000)
    heard = decode(encode(answer, KEYS), KEYS)
    assert isinstance(heard, FenceAnswer)
    assert len(heard.text) == 4096
    assert answer.text.startswith(heard.text)


# -- records in inventories ----------


def test_a_record_says_whose_it_is_only_if_it_is_not_the_senders() -> None:
    own, other = VmRecord(VM, "vm", VmState.RUNNING, A, ON_A), VmRecord(VM, "vm", VmState.RUNNING, B, ON_B)
    few = Inventory(A, ON_A, B, 1, "d", (own,), (A,), ())
    data = encode(few, KEYS)
    assert data.count(b"boot_id") == 1
    assert decode(data, KEYS) == few
    mixed = replace(few, records=(own, other, replace(own, incarnation=ON_B)))
    assert decode(encode(mixed, KEYS), KEYS) == mixed


def test_the_records_of_one_inventory_share_their_senders_name() -> None:
    records = tuple(VmRecord(VM, "vm", VmState.RUNNING, A, ON_A) for _ in range(3))
    heard = decode(encode(Inventory(A, ON_A, B, 1, "d", records, (A,), ()), KEYS), KEYS)
    assert isinstance(heard, Inventory)
    assert all(each.incarnation is heard.incarnation and each.host is heard.sender for each in heard.records)


def test_a_heartbeat_is_small() -> None:
    long = Incarnation("b" * 36, "m" * 32, "n" * 32)
    assert len(encode(Announce(HostId("host-17"), long, EVERYONE, 9, "d" * 64, "m" * 64, "t" * 32), KEYS)) < 512


# -- observations on the disk ----------


@given(observations())
def test_an_observation_comes_back_from_the_disk(observation: Observation) -> None:
    assert load_observation(dump_observation(observation)) == observation


@pytest.mark.parametrize(
    "text",
    (
        "",
        "{}",
        "[]",
        "ü",
        dump_observation(Observation(VM, VmState.OFF, A, ON_A, Proof.NONE, 1.0)).replace("off", "on"),
    ),
)
def test_a_damaged_observation_is_an_error(text: str) -> None:
    with pytest.raises(WireError):
        load_observation(text)
