"""Decides what becomes of the requests that one guest writes on its line.  Pure.

A line carries no session: whoever opens the device next may read the answer to somebody else's request, and a reply
says nothing about the request that it answers (facts: fence-virt 2.6 and 6.1, 13).  So on each line the newest
request is the only one that gets a reply; an older one that has not begun is not wanted any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.model import Action
from fencebus_schemas.serialline import SerialRequest

Asked = tuple[int, int, str]


@dataclass(slots=True)
class Turn:
    """One request's right to the line."""

    action: Action
    asked: Asked
    current: bool = True
    """False once a newer request has come: its requester is gone, or will never listen to this reply."""


class LineTurns:
    """Whose turn it is on one line."""

    def __init__(self) -> None:
        self._turn: Turn | None = None

    def take(self, request: SerialRequest) -> Turn | None:
        """The turn of a new request; ``None`` if it is the same as the one that is being carried out."""
        asked = (request.action, request.seqno, request.domain.lower())
        if self._turn is not None:
            if self._turn.asked == asked:
                return None
            self._turn.current = False
        self._turn = Turn(Action(request.action), asked)
        return self._turn

    def end(self, turn: Turn) -> None:
        """The request was answered, or will not be."""
        turn.current = False
        if self._turn is turn:
            self._turn = None

    def hang_up(self) -> None:
        """The line is gone, and with it everybody who waits on it."""
        if self._turn is not None:
            self._turn.current = False
