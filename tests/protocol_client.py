"""Speaks the guest's side of the C protocol over blocking sockets, whole or step by step, rightly or wrongly.

No client of ours is in it: tests of the daemon need a peer that stops, lies and repeats itself at any byte.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Read, Send, guest_side
from fencebus_schemas.model import Action
from fencebus_schemas.xvm import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    RANDOM_LENGTH,
    REPLY_LIST,
    ListRecord,
    RecordReader,
    XvmRequest,
)

PATIENCE = 35.0
"""Seconds that a step may take before the test fails."""
SO_LINGER_RESET = struct.pack("ii", 1, 0)
"""Closing sends RST instead of FIN."""

T = TypeVar("T")


class PeerClosed(AssertionError):
    """The daemon closed the connection; ``received`` is what came before."""

    def __init__(self, received: bytes) -> None:
        super().__init__(received)
        self.received = received

    def __str__(self) -> str:
        return f"the daemon closed after {len(self.received)} bytes: {self.received.hex()}"


@dataclass(frozen=True, slots=True)
class Secret:
    """What a guest must know: the key, and with which hash it signs and responds."""

    key: bytes
    hash_type: int = HASH_SHA256
    auth: int = HASH_SHA256


@dataclass(frozen=True, slots=True)
class Reply:
    """The daemon's answer: its result byte, and the VMs if that says that a list follows."""

    code: int
    vms: tuple[ListRecord, ...] = ()

    def states(self) -> dict[str, int]:
        """State of each VM in the list, by its name."""
        return {vm.name: vm.state for vm in self.vms}


@dataclass(slots=True)
class Conversation:
    """One connection to the daemon, after the connect."""

    socket: socket.socket
    secret: Secret

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """All of ``data``."""
        self.socket.sendall(data)

    def receive(self, length: int) -> bytes:
        """Exactly ``length`` bytes; PeerClosed if the daemon closes before."""
        data = b""
        while len(data) < length:
            try:
                piece = self.socket.recv(length - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise PeerClosed(data)
            data += piece
        return data

    def rest(self) -> bytes:
        """Everything until the daemon closes."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(4096):
                data += piece
        return data

    def handshake(self) -> None:
        """Both sides prove the key."""
        side = guest_side(self.secret.key, self.secret.auth, secrets.token_bytes(CHALLENGE_LENGTH))
        self._drive(side)

    def reply(self) -> Reply:
        """The answer to the request."""
        code = self.receive(1)[0]
        if code != REPLY_LIST:
            return Reply(code)
        reader, vms = RecordReader(), list[ListRecord]()
        while not reader.done:
            vms += reader.feed(self.receive(130))
        return Reply(code, tuple(vms))

    def hang_up(self) -> None:
        """Close in order."""
        self.socket.close()

    def break_off(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SO_LINGER_RESET)
        self.socket.close()

    def _drive(self, side: Generator[Send | Read, bytes, bytes]) -> None:
        with contextlib.suppress(StopIteration):
            step = next(side)
            while True:
                if isinstance(step, Send):
                    self.send(step.data)
                    step = next(side)
                else:
                    step = side.send(self.receive(step.length))


def signed(secret: Secret, action: Action, target: str = "", *, address: str = "", port: int = 0) -> bytes:
    """The 176 bytes of a new request; ``address`` and ``port`` say where to call back, over multicast."""
    raw, family = packed_address(address)
    request = XvmRequest(
        action.value,
        target,
        address=raw,
        family=family,
        port=port,
        random=secrets.token_bytes(RANDOM_LENGTH),
        seqno=secrets.randbelow(1_000_000),
    )
    return request.sign(secret.key, secret.hash_type).pack()


def packed_address(address: str) -> tuple[bytes, int]:
    """The address and its family as a request carries them."""
    if not address:
        return b"", 0
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address), FAMILY_IPV6
    return socket.inet_pton(socket.AF_INET, address), FAMILY_IPV4


# -- TCP ----------


def connect(where: tuple[str, int], secret: Secret, patience: float = PATIENCE) -> Conversation:
    """A connection to the daemon's TCP listener."""
    return Conversation(socket.create_connection(where, patience), secret)


def ask_tcp(where: tuple[str, int], request: bytes, secret: Secret) -> Reply:
    """The daemon's answer over TCP; PeerClosed if it gives none."""
    with connect(where, secret) as peer:
        peer.send(request)
        peer.handshake()
        return peer.reply()


# -- multicast ----------


@dataclass(slots=True)
class Guest:
    """A guest on a multicast link: it sends from ``address`` and waits there for the daemon's call."""

    secret: Secret
    group: str
    port: int
    address: str = "127.0.0.1"
    interface: str = ""
    """Where the group's datagrams leave; needed for IPv6 only."""
    listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.listener = socket.create_server((self.address, 0), family=family, backlog=64)
        self.listener.settimeout(PATIENCE)

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    @property
    def waiting(self) -> int:
        """The port at which the guest waits."""
        return int(self.listener.getsockname()[1])

    def request(self, action: Action, target: str = "") -> bytes:
        """A new request that names this guest's own address."""
        return signed(self.secret, action, target, address=self.address, port=self.waiting)

    def shout(self, datagram: bytes) -> None:
        """Send a datagram to the group."""
        send_to_group(datagram, self.group, self.port, self.address, self.interface)

    def called(self, patience: float = PATIENCE) -> Conversation:
        """The daemon's call; TimeoutError if none comes."""
        self.listener.settimeout(patience)
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        return Conversation(connection, self.secret)

    def ask(self, request: bytes, patience: float = PATIENCE) -> Reply:
        """The daemon's answer to a request; TimeoutError if it does not call."""
        self.shout(request)
        with self.called(patience) as peer:
            peer.handshake()
            return peer.reply()


def send_to_group(datagram: bytes, group: str, port: int, address: str, interface: str = "") -> None:
    """One datagram to ``group``, leaving by the link that has ``address`` (IPv4) or by ``interface`` (IPv6)."""
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        if family == socket.AF_INET6:
            index = socket.if_nametoindex(interface)
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sender.sendto(datagram, (group, port, 0, index))
        else:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            sender.sendto(datagram, (group, port))


# -- many at once ----------


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """What each act returns; all begin at the same moment, each in a thread.  Raises the first error."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [ended.result() for ended in [pool.submit(run, act) for act in acts]]


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid: int) -> int:
    """A process' resident memory in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
