"""Decides which brokers a bus URL names, as whom to go there, and how each may be shown to people.

A list of URLs, with commas in between, is tried in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from fencebus_schemas.errors import FencebusError

PLAIN_PORT, TLS_PORT = 5672, 5671
AMQP_0 = ("amqp", "amqps")
"""The schemes of AMQP 0-9-1; the second one with TLS."""
AMQP_1 = ("amqp1", "amqp1s")
"""Those of AMQP 1.0."""
_SECURE = frozenset((AMQP_0[1], AMQP_1[1]))


class BadBusUrl(FencebusError):
    """A bus URL says nothing that could be connected to.  ``number`` counts the URLs of a list from 1; ``detail`` is
    for people and quotes nothing that may hold a password.
    """

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(number, detail)
        self.number = number
        self.detail = detail

    def __str__(self) -> str:
        return f"bus URL {self.number}: {self.detail}"


@dataclass(frozen=True)
class Tls:
    """Files in PEM.  A broker's certificate is always verified, and its name compared."""

    ca_file: str | None = None
    """Who may have signed the broker's certificate; ``None``: the authorities that the system trusts."""
    cert_file: str | None = None
    """What this host shows of itself; with it, and without a user in the URL, the broker takes the user from it."""
    key_file: str | None = None


@dataclass(frozen=True)
class Broker:
    """One broker of a list."""

    scheme: str
    host: str
    port: int
    vhost: str
    """``/``: none was named."""
    user: str
    """Empty: none was named."""
    password: str = field(repr=False)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        vhost = "" if self.vhost == "/" else f"/{self.vhost}"
        return f"{self.scheme}://{user}{location(self.host, self.port)}{vhost}"

    @property
    def secure(self) -> bool:
        """True if it is spoken to over TLS."""
        return self.scheme in _SECURE


@dataclass(frozen=True)
class UrlParts:
    """What any URL of a bus has."""

    scheme: str
    user: str
    password: str | None = field(repr=False)
    host: str
    port: int | None
    path: str
    """From the slash behind the host on, as it was written."""
    more: bool
    """Something follows the path."""


def location(host: str, port: int) -> str:
    """Host and port, an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """A host as it stands before a colon."""
    return f"[{host}]" if ":" in host else host


def brokers(text: str, schemes: Sequence[str]) -> tuple[Broker, ...]:
    """The brokers of one or more URLs with commas in between, in their order; raises BadBusUrl.

    ``amqp://USER:PASSWORD@HOST:PORT/VHOST``; what is special in a user, a password or a virtual host is written as
    ``%XX``.  Without a virtual host it is ``/``.
    """
    return tuple(_broker(number, url.strip(), schemes) for number, url in enumerate(text.split(","), 1))


def parts_of(number: int, url: str, schemes: Sequence[str]) -> UrlParts:
    """The parts of the URL that stands at this place of a list; raises BadBusUrl."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise BadBusUrl(number, "not a URL, or a port that is no number from 0 to 65535") from None
    if split.scheme not in schemes:
        raise BadBusUrl(number, f"it has to begin with {' or '.join(f'{each}://' for each in schemes)}")
    if not split.hostname:
        raise BadBusUrl(number, "it names no host")
    password = None if split.password is None else unquote(split.password)
    more = bool(split.query or split.fragment)
    return UrlParts(split.scheme, unquote(split.username or ""), password, split.hostname, port, split.path, more)


def _broker(number: int, url: str, schemes: Sequence[str]) -> Broker:
    parts = parts_of(number, url, schemes)
    if parts.more or "/" in parts.path[1:]:
        raise BadBusUrl(number, "something follows the virtual host; a slash in its name is written %2F")
    port = parts.port or (TLS_PORT if parts.scheme in _SECURE else PLAIN_PORT)
    return Broker(parts.scheme, parts.host, port, unquote(parts.path[1:]) or "/", parts.user, parts.password or "")
