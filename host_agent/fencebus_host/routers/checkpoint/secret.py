"""Converts what the nodes of a corosync cluster have in common into a key for the hosts' messages.

Where corosync authenticates its nodes, its own key is the secret: whoever may join groups, such as Pacemaker's user,
still cannot speak for a host.  Where it does not, whoever can reach its network can do whatever a host can, and no
key could change that; the messages are signed all the same, so that a configured key can take its place.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Protocol

from fencebus_schemas.errors import FencebusError

PURPOSE = b"fencebus: hosts of a corosync cluster, 1"
"""Nobody who learns the hosts' key learns corosync's from it."""
DEFAULT_FILE = Path("/etc/corosync/authkey")
_SWITCHES = ("totem.crypto_hash", "totem.crypto_cipher", "totem.secauth")
_OFF = frozenset({None, "", "none", "off"})


class SecretError(FencebusError):
    """Corosync has a key that this daemon cannot read.  ``file``, and ``reason`` for people."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"cannot read corosync's key {self.file}: {self.reason}"


class Texts(Protocol):
    """The running configuration of corosync."""

    def text(self, key: str) -> str | None:
        """The text under ``key``; ``None`` if there is none."""


def secret_of(settings: Texts, default_file: Path = DEFAULT_FILE) -> bytes:
    """32 bytes, the same on all nodes of a cluster.  Raises SecretError, and what ``settings`` raises."""
    name = (settings.text("totem.cluster_name") or "").encode("utf-8", "surrogateescape")
    return hmac.digest(_shared(settings, default_file), PURPOSE + b"\0" + name, "sha256")


def _shared(settings: Texts, default_file: Path) -> bytes:
    if all(settings.text(switch) in _OFF for switch in _SWITCHES):
        return PURPOSE  # everybody knows it
    written = settings.text("totem.key")
    if written:
        return written.encode("utf-8", "surrogateescape")
    file = Path(settings.text("totem.keyfile") or default_file)
    try:
        secret = file.read_bytes()
    except OSError as error:
        raise SecretError(file, error.strerror or str(error)) from error
    if not secret:
        raise SecretError(file, "it is empty")
    return secret
