"""A fingerprint tells keys apart, and is no part of any signature."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas.fingerprint import KEY_SIZE, fingerprint

KEYS = st.binary(min_size=1, max_size=64)


@given(KEYS, KEYS)
def test_two_keys_have_the_same_fingerprint_only_if_they_are_the_same(one: bytes, other: bytes) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


def test_bytes_that_do_not_count_do_not_change_it() -> None:
    key = bytes(range(256)) * (KEY_SIZE // 256)
    assert fingerprint(key) == fingerprint(key + b"more")
    assert fingerprint(key) != fingerprint(key[:-1])


def test_it_is_short_and_begins_no_hash_of_the_bare_key() -> None:
    found = fingerprint(b"secret")
    assert len(found) == 16
    assert not sha256(b"secret").hexdigest().startswith(found)
