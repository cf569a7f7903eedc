"""Converts requests and replies to the bytes of a serial line or a VM channel, and finds them in a noisy stream.

A line may hold a login prompt, half a request of a guest that was killed while writing, or anything else. Readers
therefore look for the magic at every byte (C's daemon never checks it, C's client misses ``ab`` + ``abba``).
"""

from __future__ import annotations

from struct import Struct

from .errors import WireError
from .frozen import Frozen
from .xvm import (
    ACTION_LIST,
    REPLY_LIST,
    REPLY_SUCCESS,
    ListRecord,
    RecordReader,
    pack_name,
    pack_records,
    unpack_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"abba"
"""0x61626261: it reads the same in either byte order."""
REQUEST_LENGTH = 74
REPLY_LENGTH = 5

# magic @0, request u8 @4, flags u8 @5, domain @6, seqno u32 @70 (C: serial_req_t in serial.h)
_REQUEST = Struct("<4sBB64sI")


class SerialRequest(Frozen):
    """One request on a line. Nothing in it proves who sent it: the line itself does."""

    __slots__ = ("action", "domain", "flags", "seqno")
    action: int
    domain: str
    flags: int
    seqno: int

    def __init__(self, action: int, domain: str, seqno: int, flags: int = 0) -> None:
        self._fill(action, domain, flags, seqno)

    def pack(self) -> bytes:
        """Return the 74 bytes.

        Raises:
            WireError: the domain does not fit its field (see ``pack_name``).
        """
        return _REQUEST.pack(MAGIC, self.action, self.flags, pack_name(self.domain), self.seqno)

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> SerialRequest:
        """Read 74 bytes. Nothing signs them, so what C's client never sends is noise.

        That is: an unknown action, a flag, and anything but NULs after the domain.

        Raises:
            WireError: "length", "magic", "action", "flags", "padding", "unterminated", "utf8".
        """
        if len(data) != REQUEST_LENGTH:
            raise WireError("length", f"a request on a line has {REQUEST_LENGTH} bytes, this one {len(data)}")
        magic, action, flags, domain, seqno = _REQUEST.unpack(data)
        if magic != MAGIC:
            raise WireError("magic", f"a request on a line begins with {MAGIC!r}, this one with {magic!r}")
        if action > ACTION_LIST:
            raise WireError("action", f"unknown action {action}")
        if flags:
            raise WireError("flags", f"unknown flags {flags:#x}")
        name = unpack_name(domain)
        if any(domain[len(name.encode()) :]):
            raise WireError("padding", f"the name {name!r} is followed by other things than NULs")
        return cls(action, name, seqno, flags)

    def __str__(self) -> str:
        return f"action {self.action} {self.domain!r} seqno={self.seqno}"


class RequestReader:
    """Finds the requests in what a guest writes on a line. Holds less than one request, whatever comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> bool:
        """Whether a request has begun whose rest has not come."""
        return bool(self._buffer)

    def feed(self, data: bytes | memoryview) -> list[SerialRequest]:
        """Return the requests that ``data`` completes; rubbish between them is dropped."""
        self._buffer += data
        found: list[SerialRequest] = []
        while _seek_magic(self._buffer) and len(self._buffer) >= REQUEST_LENGTH:
            request = _request_or_none(bytes(self._buffer[:REQUEST_LENGTH]))
            del self._buffer[: REQUEST_LENGTH if request else 1]
            found += [request] if request else []
        return found

    def discard(self) -> None:
        """Forget half a request: its rest did not come in time (C gives it 1 s)."""
        self._buffer.clear()


def _request_or_none(data: bytes) -> SerialRequest | None:
    try:
        return SerialRequest.unpack(data)
    except WireError:
        return None


def _seek_magic(buffer: bytearray) -> bool:
    """Drop what stands before the first magic, or all but what may be the beginning of one. True: the magic is at 0."""
    at = buffer.find(MAGIC)
    if at >= 0:
        del buffer[:at]
        return True
    possible = range(min(len(MAGIC), len(buffer) + 1))
    keep = max(length for length in possible if MAGIC.startswith(bytes(buffer[len(buffer) - length :])))
    del buffer[: len(buffer) - keep]
    return False


def pack_reply(code: int) -> bytes:
    """Return the 5 bytes of a reply: the magic and one result byte."""
    return MAGIC + bytes((code,))


def pack_list_reply(records: Iterable[ListRecord], result: int = REPLY_SUCCESS) -> bytes:
    """Return a whole list on a line: reply 253, the records, their end, a second reply that C's client never reads."""
    return pack_reply(REPLY_LIST) + pack_records(records) + pack_reply(result)


class ReplyReader:
    """Finds one reply, and the list that may follow it, in what comes down a line."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._list = RecordReader()
        self.code: int | None = None
        """The reply's result byte once it has come; REPLY_LIST for a list."""
        self.records: list[ListRecord] = []

    @property
    def done(self) -> bool:
        """Whether the reply is whole: for a list, when its end has come. Later bytes are ignored."""
        return self._list.done if self.code == REPLY_LIST else self.code is not None

    def feed(self, data: bytes | memoryview) -> bool:
        """Take bytes of the line; returns ``done``.

        Raises:
            WireError: "list-length", a list without end.
        """
        self._buffer += data
        while self.code is None and _seek_magic(self._buffer) and len(self._buffer) >= REPLY_LENGTH:
            self._take_code()
        if self.code is not None:
            if self.code == REPLY_LIST:
                self.records += self._list.feed(bytes(self._buffer))
            self._buffer.clear()
        return self.done

    def _take_code(self) -> None:
        code = self._buffer[len(MAGIC)]
        if code in MAGIC:
            # No reply has such a code: "abb" was rubbish, and the magic begins at its end ("abb" + "abba").
            del self._buffer[:1]
            return
        self.code = code
        del self._buffer[:REPLY_LENGTH]
