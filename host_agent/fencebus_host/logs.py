"""Sets up where log lines go: standard error or the journal in the foreground, the system log in the background."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path

from fencebus_host.config.model import LogFormat
from fencebus_host.log_journal import JournalHandler, goes_to_the_journal
from fencebus_host.log_json import JsonFormatter
from fencebus_schemas.status_tables import visible

SYSLOG_SOCKET = Path("/dev/log")
STANDARD_ERROR = 2
INDENTED = "\n    "


class Lines(logging.Formatter):
    """What begins at the margin is ours: guests, consoles and peers choose some of the words, which begin no line, and
    of which no terminal obeys a sign.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- the name that logging calls
        """See logging."""
        return INDENTED.join(visible(line) for line in super().formatMessage(record).split("\n"))


def set_up(program: str, foreground: bool, debug: int, form: LogFormat = LogFormat.TEXT) -> None:
    """Configure the root logger once; ``debug`` > 0 logs every decision and every packet.

    ``form`` JSON makes each line an object, wherever it goes; else the journal, where systemd has put us there,
    gets lines with fields. Where there is no system log in the background nothing can be logged, and nothing fails.
    """
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if debug > 0 else logging.INFO)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_handler(program, foreground, form))
    # asyncio's own debug lines say nothing about fencing.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _handler(program: str, foreground: bool, form: LogFormat) -> logging.Handler:
    plain = Lines("%(message)s")
    if not foreground and SYSLOG_SOCKET.exists():
        return _written(_syslog(program), JsonFormatter(program) if form is LogFormat.JSON else plain)
    if foreground and form is LogFormat.TEXT and goes_to_the_journal(STANDARD_ERROR):
        return _written(JournalHandler(program), plain)
    text = Lines(f"%(asctime)s {program} %(levelname)s %(message)s")
    return _written(logging.StreamHandler(sys.stderr), JsonFormatter(program) if form is LogFormat.JSON else text)


def _syslog(program: str) -> logging.Handler:
    handler = logging.handlers.SysLogHandler(str(SYSLOG_SOCKET), logging.handlers.SysLogHandler.LOG_DAEMON)
    handler.ident = f"{program}[{os.getpid()}]: "
    return handler


def _written(handler: logging.Handler, formatter: logging.Formatter) -> logging.Handler:
    handler.setFormatter(formatter)
    return handler
