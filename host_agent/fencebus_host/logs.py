"""Sets up where log lines go: standard error in the foreground, the system log in the background."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path

SYSLOG_SOCKET = Path("/dev/log")


def set_up(program: str, foreground: bool, debug: int) -> None:
    """Configure the root logger once; ``debug`` > 0 logs every decision and every packet.

    Where there is no system log in the background nothing can be logged, and nothing fails.
    """
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if debug > 0 else logging.INFO)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_handler(program, foreground))
    # asyncio's own debug lines say nothing about fencing.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _handler(program: str, foreground: bool) -> logging.Handler:
    if foreground or not SYSLOG_SOCKET.exists():
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(f"%(asctime)s {program} %(levelname)s %(message)s"))
        return handler
    handler = logging.handlers.SysLogHandler(str(SYSLOG_SOCKET), logging.handlers.SysLogHandler.LOG_DAEMON)
    handler.ident = f"{program}[{os.getpid()}]: "
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
