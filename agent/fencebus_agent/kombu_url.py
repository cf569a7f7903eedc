"""Decides which brokers a bus URL names, and how each may be shown to people."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from fencebus_schemas.errors import FencebusError

PORTS = {"amqp": 5672, "amqps": 5671}


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


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM.  A broker's certificate is always verified, and its name compared."""

    ca_file: str | None = None
    """Who may have signed the broker's certificate; ``None``: the authorities that the system trusts."""
    cert_file: str | None = None
    """What this host shows of itself; with it, and without a user in the URL, the broker takes the user from it."""
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker of a list."""

    host: str
    port: int
    vhost: str
    user: str
    """Empty: none was named."""
    password: str = field(repr=False)
    secure: bool

    def __str__(self) -> str:
        scheme = "amqps" if self.secure else "amqp"
        user = f"{self.user}@" if self.user else ""
        vhost = "" if self.vhost == "/" else f"/{self.vhost}"
        return f"{scheme}://{user}{self.location}{vhost}"

    @property
    def location(self) -> str:
        """Host and port, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(text: str) -> tuple[Broker, ...]:
    """The brokers of one or more URLs with commas in between, in their order; raises BadBusUrl.

    ``amqp://USER:PASSWORD@HOST:PORT/VHOST``; what is special in a user, a password or a virtual host is written as
    ``%XX``.  Without a virtual host it is ``/``.
    """
    return tuple(_broker(number, url.strip()) for number, url in enumerate(text.split(","), 1))


def _broker(number: int, url: str) -> Broker:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadBusUrl(number, "not a URL, or a port that is no number from 0 to 65535") from None
    if parts.scheme not in PORTS:
        raise BadBusUrl(number, "it has to begin with amqp:// or amqps://")
    if not parts.hostname:
        raise BadBusUrl(number, "it names no host")
    if parts.query or parts.fragment or "/" in parts.path[1:]:
        raise BadBusUrl(number, "something follows the virtual host; a slash in its name is written %2F")
    return _made(parts, parts.hostname, port)


def _made(parts: SplitResult, host: str, port: int | None) -> Broker:
    return Broker(
        host,
        port or PORTS[parts.scheme],
        unquote(parts.path[1:]) or "/",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.scheme == "amqps",
    )


def tls_options(broker: Broker, tls: Tls) -> dict[str, object] | bool:
    """What kombu's connection takes as ``ssl``."""
    if not broker.secure:
        return False
    return {
        "ca_certs": tls.ca_file,
        "certfile": tls.cert_file,
        "keyfile": tls.key_file,
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": broker.host,
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }


def speaks_for_itself(broker: Broker, tls: Tls) -> bool:
    """True if the certificate says who this host is, rather than a user and a password."""
    return broker.secure and not broker.user and tls.cert_file is not None
