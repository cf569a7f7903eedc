"""Converts a log line to an entry of systemd's journal in its own protocol, with a field for each thing it says.

``journalctl FENCE_REQUEST_ID=...`` then finds all that a request has left, on every host (sd_journal_sendv; the format
is that of systemd's "Native Journal Protocol").
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from fencebus_host.log_fields import fields_of

SOCKET = Path("/run/systemd/journal/socket")
STREAM = "JOURNAL_STREAM"
"""The environment variable by which systemd says that a stream goes to the journal: DEVICE:INODE."""
PREFIX = "FENCE_"
LONGEST = 100_000
"""Bytes of one field: more than any line of ours, and less than a datagram takes."""
_PRIORITY = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


def goes_to_the_journal(descriptor: int, environment: Mapping[str, str] = os.environ) -> bool:
    """True if systemd has connected this descriptor with the journal."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get(STREAM) == f"{found.st_dev}:{found.st_ino}" and SOCKET.exists()


def entry(fields: Iterable[tuple[str, str]]) -> bytes:
    """One datagram.  A value with a line break is preceded by its length, so that no text can forge a field."""
    return b"".join(_field(name, value.encode("utf-8", "surrogateescape")[:LONGEST]) for name, value in fields)


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode("ascii") + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode("ascii") + b"=" + value + b"\n"


def priority(level: int) -> int:
    """syslog's number for a level of logging."""
    return next((number for least, number in _PRIORITY if level >= least), 7)


class JournalHandler(logging.Handler):
    """Sends each line; one that cannot be sent goes to standard error, which is the journal too."""

    def __init__(self, program: str, path: Path = SOCKET) -> None:
        super().__init__()
        self._program, self._path = program, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        try:
            self._socket.sendto(entry(self._fields(record)), str(self._path))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """See logging."""
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterable[tuple[str, str]]:
        yield "MESSAGE", self.format(record)
        yield "PRIORITY", str(priority(record.levelno))
        yield "SYSLOG_IDENTIFIER", self._program
        yield "LOGGER", record.name
        for name, value in fields_of(record).items():
            yield PREFIX + name.upper(), value
