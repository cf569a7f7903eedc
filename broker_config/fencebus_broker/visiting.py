"""Decides in which order a broker is looked at, whatever it speaks, and whether brokers pass on to each other."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from fencebus_broker.findings import Finding, Step, explained
from fencebus_schemas.bus_url import Broker, Tls

SECONDS = 5.0
"""For each step."""
PASSED_ON, AGAIN = 2.0, 0.2
"""Seconds until a message has arrived at another broker, which has to learn what is bound here, and between two."""
ECHO = b"echo"
"""What is sent to the own queue."""


class Visit(Protocol):
    """A connection with a queue of its own, bound to a key that nobody else has.

    Each step returns what is worth to be said, or raises what went wrong; it is done once the one before it is.
    """

    @property
    def place(self) -> Broker:
        """Where it goes."""

    @property
    def key(self) -> str:
        """What is sent there on the direct exchange comes here."""

    def log_in(self) -> str:
        """With this user's name, over TLS where the place says so."""

    def look(self) -> str:
        """For the exchanges of QMF."""

    def bind(self) -> str:
        """A queue of its own to the key."""

    def vouched(self) -> str:
        """Whom the broker vouches for as the sender of what came back; not a step, and may be empty."""

    def may_send(self) -> bool:
        """True if this user may write where hosts are reached."""

    def send(self, key: str, body: bytes) -> None:
        """To whoever has bound the key, at any broker."""

    def wait_for(self, body: bytes, seconds: float) -> bool:
        """Whether it comes in time."""

    def leave(self) -> None:
        """Close what is open; whatever that says is of no interest."""


def visited(visits: Sequence[Visit], tls: Tls) -> Iterator[Finding]:
    """Each broker by itself, then whether what is sent at one arrives at the others."""
    fit = []
    try:
        for visit in visits:
            findings = []
            for finding in _steps(visit, tls):
                findings.append(finding)
                yield finding
            if all(finding.good for finding in findings):
                fit.append(visit)
        yield from _between([visit for visit in fit if visit.may_send()])
    finally:
        for visit in visits:
            visit.leave()


def _steps(visit: Visit, tls: Tls) -> Iterator[Finding]:
    """What comes of each step; ends after the first that fails."""
    place = visit.place
    course: tuple[tuple[Step, Callable[[], str]], ...] = (
        (Step.CONNECT, lambda: _connect(place)),
        (Step.ENCRYPT, lambda: _encrypt(place, tls)),
        (Step.LOG_IN, visit.log_in),
        (Step.EXCHANGES, visit.look),
        (Step.QUEUE, visit.bind),
        (Step.ROUND_TRIP, lambda: _echo(visit)),
    )
    for step, do in course:
        if step is Step.ENCRYPT and not place.secure:
            continue
        try:
            yield Finding(place, step, do())
        except Exception as error:  # noqa: BLE001 -- the root of a step: whatever happens in it is its finding
            yield explained(place, step, error)
            return


def _connect(place: Broker) -> str:
    with socket.create_connection((place.host, place.port), SECONDS) as there:
        return f"as {there.getpeername()[0]}"


def _encrypt(place: Broker, tls: Tls) -> str:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    with (
        socket.create_connection((place.host, place.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=place.host) as there,
    ):
        return there.version() or ""


def _echo(visit: Visit) -> str:
    """How long a message takes to the broker and back."""
    if not visit.may_send():
        return "left out: this user may not send to others (a console)"
    began = time.monotonic()
    visit.send(visit.key, ECHO)
    if not visit.wait_for(ECHO, SECONDS):
        raise TimeoutError(f"nothing came within {SECONDS:g} s")
    took = f"after {1000 * (time.monotonic() - began):.1f} ms"
    vouched = visit.vouched()
    return f"{took}; {vouched}" if vouched else took


def _between(visits: Sequence[Visit]) -> Iterator[Finding]:
    """Two brokers that know nothing of each other look well, each by itself, while no fence gets across."""
    for one in visits:
        others = [other for other in visits if other is not one]
        deaf = [str(other.place) for other in others if not _passes(one, other)]
        if deaf:
            detail = f"nothing arrives at {', '.join(deaf)}"
            yield Finding(
                one.place, Step.PASSES_ON, detail, "Look at the cluster's nodes, or at the federation's links."
            )
        elif others:
            yield Finding(one.place, Step.PASSES_ON, f"{len(others)} of {len(others)}")


def _passes(one: Visit, other: Visit) -> bool:
    body = f"from {one.key}".encode("ascii")
    until = time.monotonic() + PASSED_ON
    while time.monotonic() < until:
        one.send(other.key, body)
        if other.wait_for(body, AGAIN):
            return True
    return False
