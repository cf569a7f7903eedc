"""Decides what a fence_virtd of the tests answers: real sockets and the real handshake, with an answer laid down
before.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType

from fencebus_guest.answers import drive
from fencebus_guest.failures import LineFailure
from fencebus_guest.line import Line
from fencebus_guest.patience import Patience
from fencebus_schemas.digest import HASH_SHA256
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import host_side
from fencebus_schemas.xvm import REQUEST_LENGTH, XvmRequest

SECONDS = 5


class ScriptedDaemon:
    """Answers every request with `answer`; `requests` keeps them, `refused` the errors of peers without the key."""

    def __init__(self, key: bytes, answer: bytes, *, auth: int = HASH_SHA256, minimum: int = HASH_SHA256) -> None:
        self.key = key
        self.answer = answer
        self.auth = auth
        self.minimum = minimum
        self.datagrams: list[bytes] = []
        self.requests: list[XvmRequest] = []
        self.refused: list[Exception] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def serve_tcp(self, address: str = "127.0.0.1") -> int:
        """Listen on a free port and return it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, 0), family=family)
        self._start(lambda: self._accept(listener))
        return int(listener.getsockname()[1])

    def serve_multicast(self, group: str, port: int, ignore: int = 0) -> None:
        """Join the group on loopback; the first `ignore` datagrams are lost."""
        udp = join(group, port)
        self._start(lambda: self._hear(udp, ignore))

    def converse(self, connection: socket.socket, request: XvmRequest) -> None:
        """Check the request, do the host's side of the handshake and send the answer."""
        line, patience = Line(connection.fileno()), Patience(SECONDS)
        try:
            request.verify(self.key, self.minimum)
            drive(host_side(self.key, self.auth, os.urandom(64)), line, patience)
            self.requests.append(request)
            line.send(self.answer, patience)
        except (LineFailure, WireError) as error:
            self.refused.append(error)

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(0.05)
        with listener:
            while not self._stopping.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    raw = Line(connection.fileno()).receive_exactly(REQUEST_LENGTH, Patience(SECONDS))
                    self.converse(connection, XvmRequest.unpack(raw))

    def _hear(self, udp: socket.socket, ignore: int) -> None:
        udp.settimeout(0.05)
        with udp:
            while not self._stopping.is_set() and not self.requests:
                try:
                    self.datagrams.append(udp.recv(1024))
                except TimeoutError:
                    continue
                if len(self.datagrams) > ignore:
                    self.call_back(XvmRequest.unpack(self.datagrams[-1]))

    def call_back(self, request: XvmRequest) -> None:
        """Connect to the address in `request` and converse."""
        family = socket.AF_INET6 if len(request.address) == 16 else socket.AF_INET
        address = socket.inet_ntop(family, request.address)
        with socket.create_connection((address, request.port), timeout=SECONDS) as connection:
            self.converse(connection, request)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> ScriptedDaemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(SECONDS)


def join(group: str, port: int) -> socket.socket:
    """Return a UDP socket that hears the group on the loopback interface."""
    if ":" in group:
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("::", port))
        if group.startswith("ff"):
            membership = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", socket.if_nametoindex("lo"))
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        return udp
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind(("", port))
    membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
    udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return udp
