"""The port to whatever keeps a site's secrets: passwords, certificates, keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fencebus_broker.certificates import Authority
from fencebus_broker.drawn import Drawn


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


class Secured(Protocol):
    """The same each time it is asked."""

    def password(self, user: str) -> str:
        """Fit for a URL as it stands."""

    def cookie(self) -> str:
        """What nodes of a cluster know each other by."""

    def bus_key(self) -> bytes:
        """What signs the messages between hosts."""

    def ca(self) -> bytes:
        """The certificate of this site's CA."""

    def broker(self, address: str) -> Pair:
        """Of a broker that is reached at ``address``."""

    def user(self, name: str) -> Pair:
        """Of a host, or of whoever else connects."""


class Vault:
    """Secrets in the folder ``private`` of what is rendered."""

    def __init__(self, folder: Path) -> None:
        self._drawn, self._authority = Drawn(folder), Authority(folder)
        self.password, self.cookie, self.bus_key = self._drawn.password, self._drawn.cookie, self._drawn.bus_key
        self.ca = self._authority.certificate

    def broker(self, address: str) -> Pair:
        """See Secured."""
        return Pair(*self._authority.broker(address))

    def user(self, name: str) -> Pair:
        """See Secured."""
        return Pair(*self._authority.user(name))
