"""The 176-byte request, byte for byte as C's programs send it."""

from __future__ import annotations

import pytest
from hypothesis import given

from fencebus_schemas import digest, xvm
from fencebus_schemas.errors import WireError
from tests.captured import UDP, require_key, require_payloads
from tests.fuzz import strategies_wire as wire

KEY = b"0123456789abcdef"
MULTICAST_STATUS = bytes.fromhex(
    "04020400" + "74657374" + "00" * 60 + "7f000001" + "00" * 24 + "cd04" + "d0404d3cd6b2" + "9b300b00" + "02000000"
    "5f82e0d8378275cf83cbc81ba830399cdea530075d6e7109f78792472fdab1b3" + "00" * 32
)
TCP_STATUS = bytes.fromhex(
    "04020000" + "74657374" + "00" * 60 + "00" * 28 + "0000" + "95c4ad6604b4" + "1da10e00" + "00000000"
    "c6793da0d87b18fc05b2ffc35a40bfb4356b6adb57f43af0918e1e3f88c8c716" + "00" * 32
)
CASES = (
    (
        MULTICAST_STATUS,
        xvm.XvmRequest(
            xvm.ACTION_STATUS,
            "test",
            address=b"\x7f\0\0\1",
            port=1229,
            random=bytes.fromhex("d0404d3cd6b2"),
            seqno=733339,
            family=xvm.FAMILY_IPV4,
        ),
    ),
    (TCP_STATUS, xvm.XvmRequest(xvm.ACTION_STATUS, "test", random=bytes.fromhex("95c4ad6604b4"), seqno=958749)),
)


@pytest.mark.parametrize(("raw", "request_"), CASES)
def test_a_request_of_c_is_read_and_made_byte_for_byte(raw: bytes, request_: xvm.XvmRequest) -> None:
    signed = request_.sign(KEY, digest.HASH_SHA256)
    assert signed.pack() == raw
    assert xvm.XvmRequest.unpack(raw) == signed
    assert xvm.XvmRequest.unpack(memoryview(raw)) == signed
    xvm.XvmRequest.unpack(raw).verify(KEY, digest.HASH_SHA256)


def test_every_request_of_the_capture_verifies_and_packs_to_itself() -> None:
    key = require_key()
    requests = [payload.data for payload in require_payloads() if len(payload.data) == xvm.REQUEST_LENGTH]
    assert len(requests) > 20
    for raw in requests:
        request = xvm.XvmRequest.unpack(raw)
        request.verify(key, digest.HASH_NONE)
        fields = {name: getattr(request, name) for name in xvm.XvmRequest.__slots__ if name != "_wire"}
        assert xvm.XvmRequest(**fields).pack() == raw


def test_the_capture_holds_requests_by_both_transports() -> None:
    payloads = [payload for payload in require_payloads() if len(payload.data) == xvm.REQUEST_LENGTH]
    by_udp = {len(xvm.XvmRequest.unpack(p.data).address) for p in payloads if p.protocol == UDP}
    by_tcp = {len(xvm.XvmRequest.unpack(p.data).address) for p in payloads if p.protocol != UDP}
    assert (by_udp, by_tcp) == ({4}, {0})


@pytest.mark.parametrize("length", (*range(xvm.REQUEST_LENGTH), 177, 352))
def test_any_other_length_is_refused(length: int) -> None:
    with pytest.raises(WireError) as caught:
        xvm.XvmRequest.unpack((TCP_STATUS * 2)[:length])
    assert caught.value.code == "length"


@pytest.mark.parametrize(
    ("offset", "data", "code"),
    (
        (1, b"\x04", "hash"),
        (2, b"\x05", "addrlen"),
        (2, b"\xff", "addrlen"),
        (2, b"\x10", "family"),
        (108, b"\x0a", "family"),
        (4, b"x" * 64, "unterminated"),
        (4, b"\xff\xfe", "utf8"),
    ),
)
def test_a_hostile_field_is_refused_with_its_code(offset: int, data: bytes, code: str) -> None:
    raw = MULTICAST_STATUS[:offset] + data + MULTICAST_STATUS[offset + len(data) :]
    with pytest.raises(WireError) as caught:
        xvm.XvmRequest.unpack(raw)
    assert caught.value.code == code


def test_bytes_after_the_nul_of_a_name_are_ignored_but_signed() -> None:
    raw = bytearray(TCP_STATUS)
    raw[20] = 0x78
    request = xvm.XvmRequest.unpack(bytes(raw))
    assert request.domain == "test"
    with pytest.raises(digest.AuthError) as caught:
        request.verify(KEY, digest.HASH_NONE)
    assert caught.value.code == "signature"


def test_an_unknown_action_is_read_and_left_to_whoever_answers() -> None:
    request = xvm.XvmRequest(200, "test")
    assert xvm.XvmRequest.unpack(request.pack()).action == 200
    assert str(request).startswith("200 'test'")
    assert str(xvm.XvmRequest(xvm.ACTION_OFF, "test")).startswith("off 'test' seqno=0")


@pytest.mark.parametrize("used", range(4))
@pytest.mark.parametrize("minimum", range(4))
def test_a_signature_must_be_as_strong_as_the_minimum(used: int, minimum: int) -> None:
    request = xvm.XvmRequest(xvm.ACTION_OFF, "test").sign(KEY, used)
    if used >= minimum:
        request.verify(KEY, minimum)
        return
    with pytest.raises(digest.AuthError) as caught:
        request.verify(KEY, minimum)
    assert caught.value.code == "hash-weak"


def test_another_key_and_no_key_verify_nothing() -> None:
    request = xvm.XvmRequest(xvm.ACTION_OFF, "test").sign(KEY, digest.HASH_SHA256)
    codes = []
    for key in (b"another", b""):
        with pytest.raises(digest.AuthError) as caught:
            request.verify(key, digest.HASH_SHA256)
        codes.append(caught.value.code)
    assert codes == ["signature", "no-key"]


def test_an_unsigned_request_with_a_digest_in_it_is_refused() -> None:
    request = xvm.XvmRequest(xvm.ACTION_OFF, "test", digest=b"x" * 64)
    with pytest.raises(digest.AuthError):
        request.verify(KEY, digest.HASH_NONE)


@pytest.mark.parametrize(
    ("name", "code"),
    (("x" * 64, "name-length"), ("\u00e9" * 32, "name-length"), ("a\0b", "name-nul"), ("\udcff", "utf8")),
)
def test_a_name_that_does_not_fit_is_not_sent(name: str, code: str) -> None:
    with pytest.raises(WireError) as caught:
        xvm.XvmRequest(xvm.ACTION_OFF, name).pack()
    assert caught.value.code == code


@given(wire.requests, wire.keys, wire.hash_types)
def test_every_request_comes_back_as_it_was_sent(request_: xvm.XvmRequest, key: bytes, hash_type: int) -> None:
    signed = request_.sign(key, hash_type)
    received = xvm.XvmRequest.unpack(signed.pack())
    assert received == signed
    received.verify(key, hash_type)


@given(wire.requests, wire.keys)
def test_a_signature_holds_for_its_own_key_alone(request_: xvm.XvmRequest, key: bytes) -> None:
    signed = request_.sign(key, digest.HASH_SHA512)
    with pytest.raises(digest.AuthError):
        signed.verify(key + b"\0", digest.HASH_NONE)


@given(wire.xvm_request_bytes)
def test_noise_is_a_request_or_a_wire_error_and_nothing_else(data: bytes) -> None:
    try:
        request = xvm.XvmRequest.unpack(data)
    except WireError:
        return
    assert request.pack() == data
