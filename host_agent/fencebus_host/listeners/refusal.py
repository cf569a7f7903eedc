"""Writes the log line of a request that was turned away, with its source and reason, at a bounded rate."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fencebus_host.complaints import Complaints
from fencebus_schemas.errors import WireError

Heard = Callable[[str, WireError], None]
"""Is told of the listener and of what was wrong."""

log = logging.getLogger(__name__)


class Refusals:
    """The refusals of all listeners of one daemon."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._audience: list[Heard] = []

    def join(self, heard: Heard) -> None:
        """Tell one more of each refusal from now on."""
        self._audience.append(heard)

    def tell(self, listener: str, source: str, error: WireError) -> None:
        """One warning per source and reason in a while; the rest is counted."""
        for heard in self._audience:
            heard(listener, error)
        held_back = self._complaints.worth_a_line(source, error.code)
        if held_back is None:
            return
        more = f" ({held_back} more like it since the last such line)" if held_back else ""
        log.warning("refused source=%s via=%s reason=%s: %s%s", source, listener, error.code, error.detail, more)
