"""Decides which brokers the URL of an AMQP 1.0 bus names, how a client connects to each, and what people may see."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from fencebus_agent.amqp1_engine import Greeting
from fencebus_agent.kombu_url import BadBusUrl, Tls

PORTS = {"amqp1": 5672, "amqp1s": 5671}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One broker of a list."""

    host: str
    port: int
    vhost: str
    """Empty: none was named, or ``/``."""
    user: str
    """Empty: none was named."""
    password: str = field(repr=False)
    secure: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        vhost = f"/{self.vhost}" if self.vhost else ""
        return f"{'amqp1s' if self.secure else 'amqp1'}://{user}{host}:{self.port}{vhost}"


def parse(text: str) -> tuple[Endpoint, ...]:
    """The brokers of one or more URLs with commas in between, in their order; raises BadBusUrl.

    ``amqp1://USER:PASSWORD@HOST:PORT/VHOST``, ``amqp1s`` with TLS; what is special in a part is written as ``%XX``.  A
    virtual host is a thing of RabbitMQ's.
    """
    return tuple(_endpoint(number, url.strip()) for number, url in enumerate(text.split(","), 1))


def _endpoint(number: int, url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadBusUrl(number, "not a URL, or a port that is no number from 0 to 65535") from None
    if parts.scheme not in PORTS:
        raise BadBusUrl(number, "it has to begin with amqp1:// or amqp1s://")
    if not parts.hostname:
        raise BadBusUrl(number, "it names no host")
    if parts.query or parts.fragment or "/" in parts.path[1:]:
        raise BadBusUrl(number, "something follows the virtual host; a slash in its name is written %2F")
    return _made(parts, parts.hostname, port)


def _made(parts: SplitResult, host: str, port: int | None) -> Endpoint:
    vhost = unquote(parts.path[1:])
    return Endpoint(
        host,
        port or PORTS[parts.scheme],
        "" if vhost == "/" else vhost,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.scheme == "amqp1s",
    )


def greeting_of(endpoint: Endpoint, tls: Tls, container: str, silence: float) -> Greeting:
    """How to log in: with user and password if the URL has them, with the certificate if there is one, else as nobody.

    The virtual host goes where RabbitMQ looks for it.
    """
    by_certificate = endpoint.secure and not endpoint.user and tls.cert_file is not None
    mechanism = "PLAIN" if endpoint.user else "EXTERNAL" if by_certificate else "ANONYMOUS"
    hostname = f"vhost:{endpoint.vhost}" if endpoint.vhost else endpoint.host
    return Greeting(container, hostname, mechanism, endpoint.user, endpoint.password, silence)


def tls_context(endpoint: Endpoint, tls: Tls) -> ssl.SSLContext | None:
    """What protects the connection; ``None``: nothing.  Raises OSError for a file that cannot be read."""
    if not endpoint.secure:
        return None
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
