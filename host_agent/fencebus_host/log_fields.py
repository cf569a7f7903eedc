"""Decides which fields a log line has besides its text: whose request it belongs to, and what it says of it.

A line says more than its text by ``extra=about(...)``; the id of the request that the running task serves is known
without a word.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fencebus_host import asking

ATTRIBUTE = "fencebus_fields"
REQUEST = "request_id"


def about(**fields: object) -> dict[str, object]:
    """For the ``extra`` of a log call; names in lower case, without a prefix."""
    return {ATTRIBUTE: {name: str(value) for name, value in fields.items() if value not in (None, "")}}


def fields_of(record: logging.LogRecord) -> Mapping[str, str]:
    """The fields of a line, the request's id first."""
    told = getattr(record, ATTRIBUTE, {})
    request = told.get(REQUEST) or asking.REQUEST.get()
    return {**({REQUEST: request} if request else {}), **told}
