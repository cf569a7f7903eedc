"""Writes the log line of a request that was turned away, with its source and reason, at a bounded rate."""

from __future__ import annotations

import logging

from fencebus_host.complaints import Complaints
from fencebus_schemas.errors import WireError

log = logging.getLogger(__name__)


class Refusals:
    """The refusals of all listeners of one daemon."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints

    def tell(self, listener: str, source: str, error: WireError) -> None:
        """One warning per source and reason in a while; the rest is counted."""
        held_back = self._complaints.worth_a_line(source, error.code)
        if held_back is None:
            return
        more = f" ({held_back} more like it since the last such line)" if held_back else ""
        log.warning("refused source=%s via=%s reason=%s: %s%s", source, listener, error.code, error.detail, more)
