"""Converts a log line to one JSON object, for collectors that read no text."""

from __future__ import annotations

import json
import logging
import time

from fencebus_host.log_fields import fields_of


class JsonFormatter(logging.Formatter):
    """One object a line: ``time`` (UTC), ``level``, ``program``, ``logger``, ``message``, ``error``, and the fields."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, str] = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps({**told, **fields_of(record)}, ensure_ascii=False)
