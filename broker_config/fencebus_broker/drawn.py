"""Decides which secrets are drawn anew: those of an earlier rendering stay, so that hosts can be added."""

from __future__ import annotations

import secrets
from pathlib import Path

from fencebus_broker.tree import write_private

PASSWORD_BYTES = 24
KEY_BYTES = 512
"""As the key for guests in the C programs' documentation; at most 4096 count."""


class Drawn:
    """Secrets in a folder that its owner alone may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def password(self, user: str) -> str:
        """A user's password; fit for a URL as it stands."""
        return self._kept(f"passwords/{user}", secrets.token_urlsafe(PASSWORD_BYTES).encode("ascii")).decode("ascii")

    def cookie(self) -> str:
        """What nodes of a cluster know each other by."""
        return self._kept("erlang.cookie", secrets.token_hex(20).upper().encode("ascii")).decode("ascii")

    def bus_key(self) -> bytes:
        """What signs the messages between hosts."""
        return self._kept("bus.key", secrets.token_bytes(KEY_BYTES))

    def _kept(self, name: str, new: bytes) -> bytes:
        path = self._folder / name
        if not path.exists():
            write_private(path, new)
        return path.read_bytes()
