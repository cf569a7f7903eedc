"""Decides how two hosts make sure of each other: by certificates, or by the key that all hosts share."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.amqp1_engine import Engine
from fencebus_agent.bus_tls import context_of
from fencebus_agent.peers_gate import Gate
from fencebus_agent.peers_key import callee, caller
from fencebus_schemas.bus_url import Tls

Admit = Callable[[str], Engine]
"""The engine for the host of that name."""
Refuse = Callable[[str], None]
"""Nobody was admitted; the reason is for people."""
Factory = Callable[[], asyncio.Protocol]


class Trust(Protocol):
    """How the two sides of a connection begin."""

    @property
    def vouches(self) -> bool:
        """True if nobody on the way can put words into another host's mouth."""

    def door(
        self, me: str, known: frozenset[str], admit: Admit, refuse: Refuse
    ) -> tuple[Factory, ssl.SSLContext | None]:
        """For the side that accepts: what takes a new connection, and what protects it.  May raise OSError."""

    def call(self, me: str, them: str, engine: Engine, refuse: Refuse) -> tuple[Factory, ssl.SSLContext | None]:
        """For the side that connects; with TLS the other side's certificate has to name ``them``."""


@dataclass(frozen=True, slots=True)
class ByKey:
    """Each proves that it holds the hosts' key before a word of AMQP is spoken.

    That decides who is heard, and no more: what comes after is not protected, so nobody is vouched for, and everybody
    on the way can read it.  The hosts' own messages are signed each by itself.
    """

    keys: Sequence[bytes]
    vouches = False

    def door(self, me: str, known: frozenset[str], admit: Admit, refuse: Refuse) -> tuple[Factory, None]:
        """See Trust."""
        waiting: set[Gate] = set()
        return lambda: Gate(callee(self.keys, me, known), admit, refuse, waiting), None

    def call(self, me: str, them: str, engine: Engine, refuse: Refuse) -> tuple[Factory, None]:
        """See Trust."""
        return lambda: Gate(caller(self.keys, me, them), lambda _name: engine, refuse, set()), None


@dataclass(frozen=True, slots=True)
class ByCertificate:
    """Each shows a certificate that the CA has signed, with its name."""

    tls: Tls
    vouches = True

    def door(self, me: str, known: frozenset[str], admit: Admit, refuse: Refuse) -> tuple[Factory, ssl.SSLContext]:
        """See Trust."""
        context = context_of(self.tls, ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
        return lambda: NameGate(known, admit, refuse), context

    def call(self, me: str, them: str, engine: Engine, refuse: Refuse) -> tuple[Factory, ssl.SSLContext]:
        """See Trust."""
        return lambda: engine, context_of(self.tls)


class NameGate(asyncio.Protocol):
    """Gives a socket to the engine of the host whose name its certificate has."""

    def __init__(self, known: frozenset[str], admit: Admit, refuse: Refuse) -> None:
        self._known, self._admit, self._refuse = known, admit, refuse

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        names = names_of(transport.get_extra_info("peercert"))
        name = next((name for name in names if name in self._known), None)
        if name is None:
            transport.abort()
            self._refuse(f"a certificate for {', '.join(names) or 'nobody'}, who is in no list here")
            return
        engine = self._admit(name)
        transport.set_protocol(engine)
        engine.connection_made(transport)


def names_of(certificate: Mapping[str, object] | None) -> tuple[str, ...]:
    """Whom a certificate, as Python gives it, is for: the alternative names, else the common name."""
    pairs = (certificate or {}).get("subjectAltName", ())
    found = tuple(str(pair[1]) for pair in pairs) if isinstance(pairs, tuple) else ()
    return found or tuple(_common_names((certificate or {}).get("subject", ())))


def _common_names(subject: object) -> list[str]:
    parts = [pair for part in subject for pair in part] if isinstance(subject, tuple) else []
    return [str(value) for kind, value in parts if kind == "commonName"]
