"""Which bytes become a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.door import Admitted, Door, fence_request
from fencebus_host.replay import SeenRequests, Sight
from fencebus_schemas.digest import HASH_NAMES, HASH_NONE
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Action, Source
from fencebus_schemas.xvm import REQUEST_LENGTH, XvmRequest
from tests.host_agent.evidence import VM

SHA256 = HASH_NAMES.index("sha256")
SHA512 = HASH_NAMES.index("sha512")
SHA1 = HASH_NAMES.index("sha1")
KEY, OLD_KEY = b"k" * 32, b"o" * 32


def packet(action: int = 1, key: bytes = KEY, hash_type: int = SHA256, seqno: int = 7) -> bytes:
    return XvmRequest(action, VM, seqno=seqno, random=b"random").sign(key, hash_type).pack()


def door(*keys: bytes, minimum: int = SHA256) -> Door:
    return Door(keys, minimum, SeenRequests(25.0))


def code_of(which: Door, data: bytes, source: str = "192.0.2.1") -> str:
    with pytest.raises(WireError) as refused:
        which.admit(data, source)
    return refused.value.code


def test_a_signed_request_comes_in_with_the_key_that_it_was_signed_with() -> None:
    admitted = door(KEY).admit(packet(), "192.0.2.1")
    assert (admitted.action, admitted.key, admitted.sight) == (Action.OFF, KEY, Sight.FRESH)
    assert admitted.signature == admitted.wire.digest


def test_every_key_of_a_rotation_opens() -> None:
    for key in (KEY, OLD_KEY):
        assert door(KEY, OLD_KEY).admit(packet(key=key)).key == key


def test_a_wrong_key_does_not() -> None:
    assert code_of(door(KEY, OLD_KEY), packet(key=b"wrong")) == "signature"


def test_a_stronger_hash_than_asked_for_opens_and_a_weaker_does_not() -> None:
    assert door(KEY).admit(packet(hash_type=SHA512)).action is Action.OFF
    for weaker in (SHA1, HASH_NONE):
        assert code_of(door(KEY), packet(hash_type=weaker)) == "hash-weak"
        assert code_of(door(KEY, OLD_KEY), packet(hash_type=weaker)) == "hash-weak"


def test_a_signed_request_does_not_come_in_where_there_is_no_key() -> None:
    assert code_of(door(minimum=HASH_NONE), packet()) == "no-key"


def test_an_unsigned_request_comes_in_only_where_nothing_is_asked_for_and_is_never_a_replay() -> None:
    unsigned = packet(key=b"", hash_type=HASH_NONE)
    open_door = door(KEY, OLD_KEY, minimum=HASH_NONE)
    for _ in range(3):
        admitted = open_door.admit(unsigned)
        assert (admitted.sight, admitted.signature, admitted.key) == (Sight.FRESH, b"", KEY)
    assert door(minimum=HASH_NONE).admit(unsigned).key == b""


@pytest.mark.parametrize("action", (7, 99, 255))
def test_an_action_that_does_not_exist_is_refused(action: int) -> None:
    assert code_of(door(KEY), packet(action)) == "action"


def test_the_same_request_again_is_a_retransmission_from_its_source_and_a_replay_from_another() -> None:
    which, data = door(KEY), packet()
    assert which.admit(data, "192.0.2.1").sight is Sight.FRESH
    assert which.admit(data, "192.0.2.1").sight is Sight.AGAIN
    assert code_of(which, data, "192.0.2.2") == "replayed"


def test_a_recording_is_refused_once_it_was_answered() -> None:
    seen = SeenRequests(25.0)
    which, data = Door([KEY], SHA256, seen), packet()
    seen.answered(which.admit(data).signature)
    assert code_of(which, data, "") == "replayed"


def test_what_does_not_verify_is_not_remembered_as_seen() -> None:
    seen = SeenRequests(25.0)
    which = Door([KEY], SHA256, seen)
    assert code_of(which, packet(key=b"wrong")) == "signature"
    assert len(seen) == 0


@given(st.binary(max_size=2 * REQUEST_LENGTH) | st.binary(min_size=REQUEST_LENGTH, max_size=REQUEST_LENGTH))
def test_no_bytes_without_a_signature_come_in_or_break_the_door(data: bytes) -> None:
    assert code_of(door(KEY), data)


@given(st.integers(0, 8 * REQUEST_LENGTH - 1))
def test_no_bit_of_a_signed_request_may_be_another(bit: int) -> None:
    data = bytearray(packet())
    data[bit // 8] ^= 1 << bit % 8
    assert code_of(door(KEY), bytes(data))


@given(st.integers(0, REQUEST_LENGTH - 1) | st.integers(REQUEST_LENGTH + 1, 3 * REQUEST_LENGTH))
def test_no_other_length_comes_in(length: int) -> None:
    assert code_of(door(KEY), (packet() * 3)[:length]) == "length"


# -- from there to the service ----------


def admitted(action: int = 1) -> Admitted:
    return door(KEY).admit(packet(action))


def test_a_request_has_its_deadline_from_its_receipt_on_and_an_id_of_its_own() -> None:
    first, second = (fence_request(admitted(), Source("192.0.2.1"), "tcp", 25.0, 100.0) for _ in range(2))
    assert (first.deadline.at, first.received_at) == (125.0, 100.0)
    assert first.id != second.id
    assert len(bytes.fromhex(first.id)) == 16
    assert (first.target, first.seqno, first.random, first.via) == (VM, 7, b"random", "tcp")
    assert first.identity == second.identity


@pytest.mark.parametrize("action", Action)
def test_only_an_action_that_has_a_target_gets_one(action: Action) -> None:
    asked = fence_request(admitted(action.value), Source("192.0.2.1"), "tcp", 25.0, 100.0)
    assert asked.action is action
    assert asked.target == (VM if action.has_target else "")
