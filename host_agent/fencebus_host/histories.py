"""Tells several keepers of history what one service has done."""

from __future__ import annotations

from fencebus_host.service import History
from fencebus_schemas.model import FenceOutcome, FenceRequest


class Histories:
    """Implements ``service.History`` by all of them, in order."""

    def __init__(self, *histories: History) -> None:
        self._histories = histories

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Tell each."""
        for history in self._histories:
            history.note(request, outcome, seconds)
