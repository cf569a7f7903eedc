"""Looks whether the brokers and managers that the configuration names can be reached from here: TCP, and TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fencebus_agent.bus_at import split
from fencebus_host.config.backends import ManagerSettings, OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import Config
from fencebus_host.ctl.doctor.findings import Finding, bad, good

PATIENCE = 3.0
PEERS_SCHEME = "peers"
"""Those links come and go with the hosts; the daemon says which are missing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service that fences need: what it is, where, and whether it speaks TLS."""

    what: str
    host: str
    port: int
    tls: bool = False
    ca_file: Path | None = None
    """Who vouches for its certificate; ``None`` for the system's authorities."""
    pinned: bool = False
    """Its authority was pinned when it was first met: whoever fences checks it, and nobody else can."""

    def __str__(self) -> str:
        return f"{self.what} {self.host}:{self.port}" + (" (TLS)" if self.tls else "")


def endpoints(config: Config) -> tuple[Endpoint, ...]:
    """What the configuration names."""
    if isinstance(config.backend, QmfSettings):
        return tuple(_brokers(config.backend))
    if isinstance(config.backend, OvirtSettings):
        return tuple(map(_manager, config.backend.managers))
    return ()


def _brokers(settings: QmfSettings) -> Iterator[Endpoint]:
    for each in split(settings.url):
        url = urlsplit(each)
        tls = url.scheme in ("amqps", "amqp1s")
        if url.scheme != PEERS_SCHEME and url.hostname:
            yield Endpoint("broker", url.hostname, url.port or (5671 if tls else 5672), tls, settings.ca_file)


def _manager(manager: ManagerSettings) -> Endpoint:
    url = urlsplit(manager.url)
    tls = url.scheme == "https"
    port = url.port or (443 if tls else 80)
    return Endpoint("manager", url.hostname or "", port, tls, manager.ca_file, manager.ca_file is None)


def check_reach(found: tuple[Endpoint, ...]) -> Iterator[Finding]:
    """One finding for each."""
    for each in found:
        trouble = reach(each)
        if trouble:
            yield bad(
                "unreachable", f"{each}: {trouble}", f"is it running, and does a firewall let {each.port}/tcp out?"
            )
        else:
            yield good("reachable", f"{each} can be reached")


def reach(endpoint: Endpoint) -> str:
    """Connect once; empty, or why not."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), PATIENCE) as peer:
            if endpoint.tls:
                _context(endpoint).wrap_socket(peer, server_hostname=endpoint.host).close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(endpoint.ca_file) if endpoint.ca_file else None)
    if endpoint.pinned:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
