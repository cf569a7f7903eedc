"""The digest field of C: H(key || message), padded with zeros."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_schemas import digest
from fencebus_schemas.errors import WireError

KEY = b"0123456789abcdef"


@pytest.mark.parametrize("hash_type", (1, 2, 3))
@pytest.mark.parametrize("fips", (False, True))
def test_the_interpreters_own_digests_are_those_of_hashlib(hash_type: int, fips: bool) -> None:
    name = digest.HASH_NAMES[hash_type]
    assert digest.find_digest(name, fips)(KEY + b"text") == hashlib.new(name, KEY + b"text").digest()
    padded = digest.digest64(hash_type, KEY, b"text")
    assert padded == hashlib.new(name, KEY + b"text").digest().ljust(64, b"\0")


def test_hash_none_is_64_zeros_and_needs_no_key() -> None:
    assert digest.digest64(digest.HASH_NONE, b"", b"text") == bytes(64)


def test_an_empty_key_never_authenticates_anything() -> None:
    with pytest.raises(digest.AuthError) as caught:
        digest.digest64(digest.HASH_SHA256, b"", b"text")
    assert caught.value.code == "no-key"


@pytest.mark.parametrize("hash_type", (-1, 4, 255))
def test_an_unknown_hash_type_is_an_error(hash_type: int) -> None:
    with pytest.raises(WireError) as caught:
        digest.digest64(hash_type, KEY, b"text")
    assert caught.value.code == "hash"


def test_digests_are_compared_whole() -> None:
    assert digest.same_digest(b"a" * 64, b"a" * 64)
    assert not digest.same_digest(b"a" * 64, b"a" * 63 + b"b")
    assert not digest.same_digest(b"a" * 64, b"a" * 32)


def test_fips_is_what_the_kernels_switch_says(tmp_path: Path) -> None:
    switch = tmp_path / "fips_enabled"
    assert not digest.fips_enabled(str(switch))
    switch.write_text("0\n")
    assert not digest.fips_enabled(str(switch))
    switch.write_text("1\n")
    assert digest.fips_enabled(str(switch))


def test_signing_a_request_imports_nothing_slow() -> None:
    program = (
        "import sys; from fencebus_schemas import handshake, serialline, xvm; "
        "xvm.XvmRequest(4, 'test').sign(b'key', 2); "
        "slow = {'dataclasses', 'typing', 'enum', 're', 'collections', 'hashlib', 'socket', 'logging'}; "
        "print(*(slow & set(sys.modules)))"
    )
    schemas = str(Path(digest.__file__).parents[1])
    start = f"import sys; sys.path.append({schemas!r}); {program}"
    # The system's interpreter, without site: what the launchers in a guest use.
    done = subprocess.run([sys.executable, "-IS", "-c", start], capture_output=True, text=True, check=True)
    if digest.fips_enabled():
        pytest.skip("a FIPS machine takes the digests from hashlib")
    assert done.stdout.split() == []


def test_an_interpreter_without_the_module_takes_hashlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_BUILTIN", {"sha256": ("_no_such_module",)})
    assert digest.find_digest("sha256", fips=False)(b"") == hashlib.sha256(b"").digest()


def test_an_error_shows_its_detail_and_its_code() -> None:
    assert str(WireError("length", "too short")) == "too short [length]"
