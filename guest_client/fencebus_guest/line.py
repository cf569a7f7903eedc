"""Converts waits on a descriptor into bytes or a LineFailure: sockets, terminals and virtio ports alike.

Descriptors rather than socket objects, because all of them can be read, written and waited for in the same way.
"""

from __future__ import annotations

from posix import read, write
from select import select
from time import sleep

from .failures import LineFailure, Silence, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .patience import Patience

NOT_CONNECTED_PAUSE = 0.02
"""A virtio port whose host side is not connected reads as ended, and cannot be waited for."""
DROPPED_AT_ONCE = 4096


class Line:
    """A descriptor to talk over. ``ends``: whether reading nothing means that the peer is gone for good."""

    __slots__ = ("_ends", "fd")

    def __init__(self, fd: int, *, ends: bool = True) -> None:
        self.fd = fd
        self._ends = ends

    def send(self, data: bytes, patience: Patience) -> None:
        """Write all of ``data``.

        Raises:
            LineFailure: the peer does not take it in time, or is gone.
        """
        view = memoryview(data)
        while view:
            if not select([], [self.fd], [], patience.remaining())[1]:
                raise LineFailure("the peer does not take our bytes")
            try:
                view = view[write(self.fd, view) :]
            except BlockingIOError:
                sleep(min(NOT_CONNECTED_PAUSE, patience.remaining()))
                if patience.over:
                    raise LineFailure("the peer does not take our bytes") from None
            except OSError as error:
                raise LineFailure(words(error)) from None

    def drop_what_waits(self, quiet: float, patience: Patience) -> None:
        """Read and forget what comes, until nothing has come for ``quiet`` seconds, or the patience is over.

        Raises:
            LineFailure: the line broke.
        """
        while select([self.fd], [], [], min(quiet, patience.remaining()))[0] and not patience.over:
            if not self._read(DROPPED_AT_ONCE):
                return

    def receive(self, limit: int, patience: Patience) -> bytes:
        """Return at least one byte and at most ``limit``.

        Raises:
            Silence: nothing came in time. LineFailure: the peer is gone.
        """
        while select([self.fd], [], [], patience.remaining())[0]:
            data = self._read(limit)
            if data:
                return data
            if self._ends:
                raise LineFailure("the connection was closed")
            sleep(min(NOT_CONNECTED_PAUSE, patience.remaining()))
            if patience.over:
                break
        raise Silence("no bytes came in time")

    def _read(self, limit: int) -> bytes:
        try:
            return read(self.fd, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LineFailure(words(error)) from None

    def receive_exactly(self, length: int, patience: Patience) -> bytes:
        """Return ``length`` bytes.

        Raises:
            LineFailure: see ``receive``.
        """
        data = b""
        while len(data) < length:
            data += self.receive(length - len(data), patience)
        return data
