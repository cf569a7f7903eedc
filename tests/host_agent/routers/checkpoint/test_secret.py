"""The key that the nodes of a corosync cluster have in common: the same on all, another in every other cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.routers.checkpoint.secret import SecretError, secret_of

NOWHERE = Path("/nonexistent/authkey")


class Settings:
    """A running configuration, as corosync tells it."""

    def __init__(self, **texts: str) -> None:
        self._texts = {f"totem.{key}": text for key, text in texts.items()}

    def text(self, key: str) -> str | None:
        """As corosync's libcmap."""
        return self._texts.get(key)


@pytest.mark.parametrize("off", ({}, {"crypto_hash": "none", "crypto_cipher": "none"}, {"secauth": "off"}))
def test_a_cluster_without_a_key_of_its_own_is_known_by_its_name(off: dict[str, str]) -> None:
    secret = secret_of(Settings(cluster_name="a", **off), NOWHERE)
    assert secret == secret_of(Settings(cluster_name="a"), NOWHERE)
    assert secret != secret_of(Settings(cluster_name="b"), NOWHERE)


def test_a_cluster_with_a_key_file_is_known_by_its_key_and_does_not_tell_it(tmp_path: Path) -> None:
    (tmp_path / "authkey").write_bytes(b"first")
    settings = Settings(cluster_name="a", crypto_hash="sha256")
    first = secret_of(settings, tmp_path / "authkey")
    assert b"first" not in first
    assert len(first) == 32
    (tmp_path / "authkey").write_bytes(b"second")
    assert secret_of(settings, tmp_path / "authkey") != first
    (tmp_path / "other").write_bytes(b"first")
    elsewhere = Settings(cluster_name="a", secauth="on", keyfile=str(tmp_path / "other"))
    assert secret_of(elsewhere, NOWHERE) == first


def test_a_key_that_stands_in_the_configuration_counts() -> None:
    written = [secret_of(Settings(crypto_cipher="aes256", key=key), NOWHERE) for key in ("one", "two", "one")]
    assert written[0] == written[2] != written[1]


@pytest.mark.parametrize("content", (None, b""))
def test_a_key_that_cannot_be_read_is_never_replaced_by_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "authkey"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretError, match=f"cannot read corosync's key {file}"):
        secret_of(Settings(crypto_hash="sha256"), file)
