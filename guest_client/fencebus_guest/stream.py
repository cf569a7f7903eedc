"""Decides how a fence_virtd is asked over one connection that the client makes: TCP, or vsock to the host's CID."""

from __future__ import annotations

import _socket

from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import guest_side

from .answers import Answer, drive, read_network_answer
from .failures import LineFailure, NoAnswer, Silence, words
from .line import Line
from .patience import Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Asking

    Address = tuple["str | int | bytes", ...]

CONNECT_SECONDS = 3
"""C's time-out for a TCP connection."""
NOBODY_THERE = (
    "see that fence_virtd runs there with a listener on that address and port, and that no firewall is between"
)


def ask_tcp(asking: Asking, host: str) -> Answer:
    """Ask the daemon at ``host``, an address or (as C cannot) a name. Raises NoAnswer."""
    patience = Patience(asking.timeout)
    connection = connect_tcp(host, asking.port, patience)
    return converse(connection, asking, patience)


def ask_vsock(asking: Asking, cid: int) -> Answer:
    """Ask the daemon of the machine with this CID; 2 is the host of this guest. Raises NoAnswer."""
    patience = Patience(asking.timeout)
    try:
        connection = connect_socket(_socket.AF_VSOCK, (cid, asking.port), patience)
    except OSError as error:
        raise NoAnswer(
            f"cannot connect to vsock {cid}:{asking.port}: {words(error)}",
            "see that the guest has a vsock device, and that fence_virtd on the host has a vsock listener",
        ) from None
    return converse(connection, asking, patience)


def connect_tcp(
    host: str, port: int, patience: Patience, status: int = 1, remedy: str = NOBODY_THERE
) -> _socket.socket:
    """Return a connection to the first address of ``host`` that takes it. Raises NoAnswer with exit ``status``."""
    where, problems = f"cannot connect to {host}:{port}", ["it has no address"]
    try:
        addresses = _addresses(host, port)
    except OSError as error:
        unknown = "give -T the host's address, or have its name in /etc/hosts or DNS"
        raise NoAnswer(f"{where}: {words(error)}", unknown, status) from None
    for family, address in addresses:
        connection = _try(family, address, patience, problems)
        if connection is not None:
            return connection
    raise NoAnswer(f"{where}: {problems[-1]}", remedy, status)


def _try(family: int, address: Address, patience: Patience, problems: list[str]) -> _socket.socket | None:
    try:
        return connect_socket(family, address, patience)
    except OSError as error:
        problems.append(words(error))
        return None


def _addresses(host: str, port: int) -> list[tuple[int, Address]]:
    # Bytes, because a str makes the interpreter load its IDNA tables first.
    found = _socket.getaddrinfo(host.encode("utf-8", "surrogateescape"), port, 0, _socket.SOCK_STREAM)
    return [(family, address) for family, _type, _protocol, _name, address in found]


def connect_socket(family: int, address: Address, patience: Patience) -> _socket.socket:
    """Return a connected socket. Raises OSError, also when 3 s or the patience are over."""
    connection = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        connection.settimeout(max(0.001, min(CONNECT_SECONDS, patience.remaining())))
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def converse(connection: _socket.socket, asking: Asking, patience: Patience) -> Answer:
    """Send the request, prove the key to each other, return the answer; the connection is closed. Raises NoAnswer."""
    line = Line(connection.fileno())
    proved = False
    try:
        line.send(asking.signed().pack(), patience)
        drive(guest_side(asking.key, asking.auth, asking.nonce()), line, patience)
        proved = True
        return read_network_answer(line, asking.timeout)
    except (LineFailure, WireError) as error:
        raise _failed(asking, error, proved) from None
    finally:
        connection.close()


def _failed(asking: Asking, error: LineFailure | WireError, proved: bool) -> NoAnswer:
    if proved:
        return NoAnswer(
            f"fence_virtd took the request and gave no result: {error}",
            "whether the target is fenced is not known; look into fence_virtd's log",
        )
    if isinstance(error, Silence):
        return NoAnswer(
            f"something took the connection and says nothing that shows a fence_virtd: {error}",
            "it hangs, or another program has the port",
        )
    return NoAnswer(
        f"Invalid response to challenge: {error}",
        f"compare {asking.key_file} with the host's key, and auth and hash on both sides",
    )
