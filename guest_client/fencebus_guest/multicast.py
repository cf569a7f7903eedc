"""Decides how a fence_virtd is found by multicast: ask from each local address, take the call-back that proves the key.

Unlike C, which takes the first connection whoever makes it, connections without the key end nothing: the client goes on
listening. Once one peer has proved the key no other is answered, so that only one daemon carries the request out.
"""

from __future__ import annotations

import _socket
from select import select

from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Send, challenge, respond
from fencebus_schemas.xvm import FAMILY_IPV6

from .addresses import LocalAddress, local_addresses
from .answers import Answer, drive, read_network_answer
from .failures import EXIT_INTERNAL, LineFailure, NoAnswer, words
from .line import Line
from .patience import Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fencebus_schemas.handshake import Step
    from fencebus_schemas.xvm import XvmRequest

    from .request import Asking

ACCEPT = "_accept"
"""What ``socket.accept`` is made of, which costs 7 ms to import; unknown to type stubs."""
HOPS = 2
BACKLOG = 64
MAX_CANDIDATES = 32
"""Connections that have not proved the key yet; when more come, the oldest is dropped."""


class Candidate:
    """A connection that has been challenged and has not answered yet."""

    def __init__(self, socket: _socket.socket, peer: str, step: Step) -> None:
        self.socket = socket
        self.peer = peer
        self._step = step
        self._response = b""

    def begin(self) -> bool:
        """Send the challenge; True: nothing has to be proved (auth none). Raises WireError, OSError."""
        for wanted in self._step:
            if not isinstance(wanted, Send):
                return False
            self.socket.send(wanted.data)
        return True

    def proceed(self) -> bool:
        """Take bytes that have come; True: the key is proved. Raises WireError: it is not; OSError: the peer left."""
        data = self.socket.recv(CHALLENGE_LENGTH - len(self._response))
        if not data:
            raise OSError(0, "it closed the connection before it proved the key")
        self._response += data
        if len(self._response) < CHALLENGE_LENGTH:
            return False
        try:
            self._step.send(self._response)
        except StopIteration:
            return True
        return False


class Callbacks:
    """The listening port and the connections made to it."""

    def __init__(self, listener: _socket.socket, new_step: Callable[[], Step]) -> None:
        self._listener = listener
        self._new_step = new_step
        self._candidates: list[Candidate] = []
        self.refusals: list[str] = []
        """Why connections did not count, for the message at the end."""

    def wait(self, seconds: float) -> _socket.socket | None:
        """Return the first connection that proves the key within so many seconds, else None."""
        patience = Patience(seconds)
        while True:
            watched = [self._listener.fileno(), *(candidate.socket.fileno() for candidate in self._candidates)]
            ready = set(select(watched, [], [], patience.remaining())[0])
            if not ready:
                return None
            for candidate in [one for one in self._candidates if one.socket.fileno() in ready]:
                if self._proves(candidate, candidate.proceed):
                    return candidate.socket
            if self._listener.fileno() in ready:
                candidate = self._accept()
                if self._proves(candidate, candidate.begin):
                    return candidate.socket

    def _accept(self) -> Candidate:
        fd, peer = getattr(self._listener, ACCEPT)()
        candidate = Candidate(_socket.socket(fileno=fd), str(peer[0]), self._new_step())
        self._candidates.append(candidate)
        if len(self._candidates) > MAX_CANDIDATES:
            self._drop(self._candidates[0], "it proved nothing")
        return candidate

    def _proves(self, candidate: Candidate, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except OSError as error:
            self._drop(candidate, words(error))
        except WireError as error:
            self._drop(candidate, error.detail)
        return False

    def _drop(self, candidate: Candidate, why: str) -> None:
        self._candidates.remove(candidate)
        candidate.socket.close()
        self.refusals.append(f"{candidate.peer}: {why}")

    def close(self, but: _socket.socket | None = None) -> None:
        """Close the port and every connection except ``but``."""
        self._listener.close()
        for candidate in self._candidates:
            if candidate.socket is not but:
                candidate.socket.close()


def ask(asking: Asking) -> Answer:
    """Ask by multicast and return the answer of the daemon that called back and proved the key.

    Raises:
        NoAnswer: nobody who holds the key called back in time, the port is taken, or no answer followed.
    """
    patience = Patience(asking.timeout)
    listener = _listen(asking, patience)
    callbacks = Callbacks(listener, lambda: challenge(asking.key, asking.auth, asking.nonce()))
    connection = None
    try:
        connection = _find(asking, callbacks, patience)
        line = Line(connection.fileno())
        drive(respond(asking.key, asking.auth, asking.nonces), line, patience)
        return read_network_answer(line, asking.timeout)
    except (LineFailure, WireError) as error:
        raise NoAnswer(
            f"the fence_virtd that called back gave no result: {error}",
            "whether the target is fenced is not known; look into fence_virtd's log",
        ) from None
    finally:
        callbacks.close(but=connection)
        if connection is not None:
            connection.close()


def _listen(asking: Asking, patience: Patience) -> _socket.socket:
    while True:
        try:
            return open_listener(asking.family, asking.port)
        except OSError as error:
            if patience.remaining() <= asking.interval:
                raise NoAnswer(
                    f"cannot listen on TCP port {asking.port} for the call-back: {words(error)}",
                    "see what holds the port (ss -ltnp); a fence_xvm that is still running frees it when it ends",
                    EXIT_INTERNAL,
                ) from None
        # The same pause as between two requests, as in C.
        select([], [], [], asking.interval)


def open_listener(family: int, port: int) -> _socket.socket:
    """Return a listening socket on every local address. Raises OSError."""
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(("::" if family == FAMILY_IPV6 else "0.0.0.0", port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _find(asking: Asking, callbacks: Callbacks, patience: Patience) -> _socket.socket:
    senders = [(address, asking.signed(address.raw)) for address in _addresses(asking.family)]
    while not patience.over:
        problems = [problem for address, request in senders for problem in _send(asking, address, request)]
        found = callbacks.wait(min(asking.interval, patience.remaining()))
        if found is not None:
            return found
        if len(problems) == len(senders):
            callbacks.refusals.append(problems[0] if problems else "this machine has no address to ask from")
    raise _nobody(asking, callbacks.refusals)


def _addresses(family: int) -> list[LocalAddress]:
    try:
        return local_addresses(family)
    except OSError:
        # Without netlink (a confined process) the kernel's choice of an address is not known to us.
        return []


def _send(asking: Asking, address: LocalAddress, request: XvmRequest) -> list[str]:
    """Send the request from one address; return what went wrong. The same bytes each time: daemons join them (S7)."""
    try:
        send_datagram(asking.group, asking.port, address, request.pack())
    except OSError as error:
        return [f"cannot send from {address.text}: {words(error)}"]
    return []


def send_datagram(group: str, port: int, address: LocalAddress, data: bytes) -> None:
    """Send ``data`` to the group out of the interface that has ``address``. Raises OSError."""
    v6 = len(address.raw) == 16
    raw_group = _socket.inet_pton(_socket.AF_INET6 if v6 else _socket.AF_INET, group)
    udp = _socket.socket(_socket.AF_INET6 if v6 else _socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        if v6:
            index = address.index.to_bytes(4, "little")
            if raw_group[0] == 0xFF:
                udp.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_JOIN_GROUP, raw_group + index)
            udp.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_MULTICAST_IF, address.index)
            udp.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_MULTICAST_HOPS, HOPS)
        else:
            if raw_group[0] & 0xF0 == 0xE0:
                udp.setsockopt(_socket.IPPROTO_IP, _socket.IP_ADD_MEMBERSHIP, raw_group + address.raw)
            udp.setsockopt(_socket.IPPROTO_IP, _socket.IP_MULTICAST_IF, address.raw)
            udp.setsockopt(_socket.IPPROTO_IP, _socket.IP_MULTICAST_TTL, HOPS)
        udp.sendto(data, (group, port))
    finally:
        udp.close()


def _nobody(asking: Asking, refusals: list[str]) -> NoAnswer:
    where = f"{asking.group}:{asking.port} within {asking.timeout} s"
    if refusals:
        return NoAnswer(
            f"Timed out waiting for response: nobody with our key answered on {where}; last: {refusals[-1]}",
            f"compare {asking.key_file} with the host's key, and auth and hash on both sides",
        )
    return NoAnswer(
        f"Timed out waiting for response: no answer on {where}",
        "see that fence_virtd runs, that multicast and its TCP call-back pass the firewalls, that the key is the host's"
        "; test with: fence_xvm -o list",
    )
