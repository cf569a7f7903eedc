"""Converts between Python and corosync's libraries: libcpg (a group's messages), libquorum, libcmap (its settings).

The only module that knows their C interface (corosync 2 and 3; no binding exists).  What opens or closes a
connection waits for corosync without any limit and belongs into a thread; ``send`` and ``dispatch`` never wait.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char,
    c_char_p,
    c_int,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
    create_string_buffer,
    string_at,
)
from enum import IntEnum
from functools import cache

from fencebus_host.routers.checkpoint.happenings import Changed, Delivered, Event, Peer
from fencebus_schemas.errors import FencebusError

AGREED = 2
"""All members get all messages in one order (cpg.h, CPG_TYPE_AGREED)."""
ONE_NONBLOCKING = 4
"""Dispatch what is there, at most one, and do not wait (corotypes.h)."""
TRACK_BOTH = 0x01 | 0x02
"""Tell the state as it is, and each change (CS_TRACK_CURRENT, CS_TRACK_CHANGES)."""
QUORUM_SET = 1
"""Somebody decides about quorum; without a provider corosync counts nobody (quorum.h)."""
ENDED = (2, 5)
"""Reasons to be in a group no more while the node is there: left, or ended (CPG_REASON_LEAVE, CPG_REASON_PROCDOWN)."""
_NAME_LENGTH = 128
_LIBRARIES = {"cpg": "libcpg.so.4", "quorum": "libquorum.so.5", "cmap": "libcmap.so.4"}


class Status(IntEnum):
    """What a call answers (corotypes.h, cs_error_t), as far as anybody needs to tell it from others."""

    OK = 1
    LIBRARY = 2
    TIMEOUT = 5
    TRY_AGAIN = 6
    BAD_HANDLE = 9
    ACCESS = 11
    NOT_EXIST = 12
    EXIST = 14
    NO_RESOURCES = 18
    QUEUE_FULL = 23
    TOO_BIG = 26
    SECURITY = 100


LATER = frozenset({Status.TRY_AGAIN, Status.TIMEOUT, Status.NO_RESOURCES, Status.QUEUE_FULL})
"""Nothing is wrong: corosync is busy, or forms a new membership."""
_MEANINGS = {
    Status.LIBRARY: "corosync does not run, or has ended",
    Status.BAD_HANDLE: "corosync has ended",
    Status.ACCESS: "corosync lets only root, or whom its uidgid.d names, in",
    Status.SECURITY: "corosync lets only root, or whom its uidgid.d names, in",
    Status.TRY_AGAIN: "corosync is not ready yet",
}


class CorosyncError(FencebusError):
    """A call to corosync has failed: ``call`` is the C function, ``status`` its answer, 0 for a missing library."""

    def __init__(self, call: str, status: int) -> None:
        super().__init__(call, status)
        self.call, self.status = call, status

    def __str__(self) -> str:
        if not self.status:
            return f"{self.call} is not installed"
        meaning = {int(status): text for status, text in _MEANINGS.items()}.get(self.status, f"error {self.status}")
        return f"{meaning} ({self.call})"

    @property
    def may_pass(self) -> bool:
        """The same call may well succeed in a moment, on the same connection."""
        return self.status in LATER


# -- the C types ----------


class _Name(Structure):
    _fields_ = (("length", c_uint32), ("value", c_char * _NAME_LENGTH))


class _Address(Structure):
    _fields_ = (("node", c_uint32), ("pid", c_uint32), ("reason", c_uint32))


class _Piece(Structure):
    _fields_ = (("base", c_char_p), ("length", c_size_t))


_Addresses = POINTER(_Address)
_DELIVER = CFUNCTYPE(None, c_uint64, POINTER(_Name), c_uint32, c_uint32, c_void_p, c_size_t)
_CHANGE = CFUNCTYPE(None, c_uint64, POINTER(_Name), _Addresses, c_size_t, _Addresses, c_size_t, _Addresses, c_size_t)
_QUORUM = CFUNCTYPE(None, c_uint64, c_uint32, c_uint64, c_uint32, POINTER(c_uint32))


class _GroupCallbacks(Structure):
    _fields_ = (("deliver", _DELIVER), ("change", _CHANGE))


class _QuorumCallbacks(Structure):
    _fields_ = (("notify", _QUORUM),)


@cache
def _library(name: str) -> CDLL:
    """Raises CorosyncError where it is not installed."""
    try:
        return CDLL(_LIBRARIES[name])
    except OSError as error:
        raise CorosyncError(_LIBRARIES[name], 0) from error


def is_installed() -> bool:
    """Whether the libraries are there at all."""
    try:
        return all(_library(name) is not None for name in _LIBRARIES)
    except CorosyncError:
        return False


def _call(library: str, function: str, *arguments: object) -> int:
    """The answer of ``LIBRARY_FUNCTION``."""
    return int(getattr(_library(library), f"{library}_{function}")(*arguments))


def _must(library: str, function: str, *arguments: object) -> None:
    status = _call(library, function, *arguments)
    if status != Status.OK:
        raise CorosyncError(f"{library}_{function}", status)


class _Connection:
    """One handle of one of the libraries, with the descriptor that is readable when there is something to dispatch."""

    def __init__(self, library: str, *arguments: object) -> None:
        self._library, self._handle = library, c_uint64()
        _must(library, "initialize", byref(self._handle), *arguments)

    def fileno(self) -> int:
        """The descriptor; raises CorosyncError."""
        descriptor = c_int()
        self._must("fd_get", byref(descriptor))
        return descriptor.value

    def close(self) -> None:
        """Give the handle back; what was not dispatched is lost.  Waits for corosync; idempotent."""
        if self._handle.value:
            _call(self._library, "finalize", self._handle)
            self._handle = c_uint64()

    def _must(self, function: str, *arguments: object) -> None:
        _must(self._library, function, self._handle, *arguments)

    def _dispatch(self) -> bool:
        """Have one callback called; false if there was nothing.  Raises CorosyncError when the connection has ended."""
        status = _call(self._library, "dispatch", self._handle, ONE_NONBLOCKING)
        if status not in (Status.OK, *LATER):
            raise CorosyncError(f"{self._library}_dispatch", status)
        return status == Status.OK


class Group(_Connection):
    """This process in a closed process group."""

    def __init__(self, name: str) -> None:
        """Waits for corosync.  Raises CorosyncError; nothing is left open then."""
        self._events: list[Event] = []
        # The library keeps the addresses of the callbacks: they have to live as long as the handle.
        self._callbacks = _GroupCallbacks(_DELIVER(self._on_message), _CHANGE(self._on_change))
        super().__init__("cpg", byref(self._callbacks))
        with _closed_on_error(self.close):
            node, size = c_uint32(), c_uint32()
            self._must("local_get", byref(node))
            self._must("max_atomic_msgsize_get", byref(size))
            self.me = Peer(node.value, os.getpid())
            self.most_bytes = size.value
            """Of one message."""
            self._must("join", byref(_Name(len(name), name.encode("ascii"))))

    def send(self, payload: bytes) -> bool:
        """Give it to all members, this one included; false if corosync takes nothing at the moment.

        Raises CorosyncError when the connection has ended.
        """
        status = _call("cpg", "mcast_joined", self._handle, AGREED, byref(_Piece(payload, len(payload))), 1)
        if status not in (Status.OK, *LATER):
            raise CorosyncError("cpg_mcast_joined", status)
        return status == Status.OK

    def dispatch(self, most: int) -> list[Event]:
        """What has happened, ``most`` events of it.  Raises CorosyncError when the connection has ended."""
        self._events = []
        while len(self._events) < most and self._dispatch():
            pass
        return self._events

    # Called by the library from inside ``dispatch``; what they raised would be lost.

    def _on_message(self, _handle: int, _group: object, node: int, pid: int, data: int | None, length: int) -> None:
        self._events.append(Delivered(Peer(node, pid), string_at(data, length) if data else b""))

    def _on_change(
        self,
        _handle: int,
        _group: object,
        members: Sequence[_Address],
        count: int,
        left: Sequence[_Address],
        left_count: int,
        joined: Sequence[_Address],
        joined_count: int,
    ) -> None:
        there, gone, new = _listed(members, count), _listed(left, left_count), _listed(joined, joined_count)
        ended = [each for each in gone if each.reason in ENDED]
        self._events.append(Changed(_peers(there), _peers(gone), _peers(new), _peers(ended)))


def admits() -> None:
    """Raises CorosyncError unless corosync would let this process into groups.  Waits for corosync; joins none."""
    callbacks = _GroupCallbacks()
    _Connection("cpg", byref(callbacks)).close()


class Quorum(_Connection):
    """Whether this node's part of the cluster has the majority, and all that follows from it."""

    def __init__(self) -> None:
        """Waits for corosync.  Raises CorosyncError; nothing is left open then."""
        self.stands = False
        """The last word that was dispatched."""
        self._callbacks = _QuorumCallbacks(_QUORUM(self._on_change))
        kind = c_uint32()
        super().__init__("quorum", byref(self._callbacks), byref(kind))
        self.is_counted = kind.value == QUORUM_SET
        """False if no quorum provider is configured: then there never is a quorum (as Pacemaker sees it)."""
        with _closed_on_error(self.close):
            self._must("trackstart", TRACK_BOTH)

    def asked(self) -> bool:
        """Whether there is a quorum, by a question.  Waits for corosync; raises CorosyncError."""
        stands = c_int()
        self._must("getquorate", byref(stands))
        return bool(stands.value) and self.is_counted

    def dispatch(self) -> bool:
        """Whether there is a quorum now.  Raises CorosyncError when the connection has ended."""
        while self._dispatch():
            pass
        return self.stands

    def _on_change(self, _handle: int, stands: int, *_others: object) -> None:
        self.stands = bool(stands) and self.is_counted


class Settings(_Connection):
    """The configuration with which corosync runs."""

    def __init__(self) -> None:
        """Waits for corosync, as all of it does.  Raises CorosyncError."""
        super().__init__("cmap")

    def text(self, key: str) -> str | None:
        """The text under ``key``; ``None`` if there is none.  Raises CorosyncError."""
        size, kind = c_size_t(4096), c_int()
        value = create_string_buffer(size.value)
        try:
            self._must("get", key.encode("ascii"), value, byref(size), byref(kind))
        except CorosyncError as error:
            if error.status == Status.NOT_EXIST:
                return None
            raise
        return value.value.decode("utf-8", "replace")


def _listed(addresses: Sequence[_Address], count: int) -> Sequence[_Address]:
    # A pointer of C: without an end, and null where there are none.
    return addresses[:count] if count else ()


def _peers(addresses: Sequence[_Address]) -> frozenset[Peer]:
    return frozenset(Peer(each.node, each.pid) for each in addresses)


@contextlib.contextmanager
def _closed_on_error(close: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except CorosyncError:
        close()
        raise
