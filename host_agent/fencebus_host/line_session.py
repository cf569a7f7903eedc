"""Decides what becomes of the requests that one guest writes on its line.  Pure.

A line carries no session: whoever opens the device next may read the answer to somebody else's request, and a reply
says nothing about the request that it answers (facts: fence-virt 2.6 and 6.1, 13).  So on each line the newest
request is the only one that gets a reply; an older one that has not begun is not wanted any more.

A client of ours says its request again each second, for as long as that is safe, because QEMU throws away what is
written while no daemon is connected.  One that meets its reply on the way gets no second one: nobody would be left
to read it but the next program.
"""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.model import Action
from fencebus_schemas.serialline import SerialRequest

Asked = tuple[int, int, str]

ANSWERED_SECONDS = 2.0
"""How long after its reply a request that is said again is one that met it on the way."""


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
        self._answered: tuple[Asked, float] | None = None

    def take(self, request: SerialRequest, now: float) -> Turn | None:
        """The turn of a new request; ``None`` if it is the same as the one that is being carried out, or has just been
        answered.  ``now`` is in seconds, on any clock that does not go back.
        """
        asked = (request.action, request.seqno, request.domain.lower())
        if self._answered is not None and self._answered[0] == asked and now - self._answered[1] < ANSWERED_SECONDS:
            return None
        if self._turn is not None:
            if self._turn.asked == asked:
                return None
            self._turn.current = False
        self._turn = Turn(Action(request.action), asked)
        return self._turn

    def answered(self, turn: Turn, now: float) -> None:
        """The reply has been written."""
        self._answered = turn.asked, now

    def end(self, turn: Turn) -> None:
        """The request was answered, or will not be."""
        turn.current = False
        if self._turn is turn:
            self._turn = None

    def hang_up(self) -> None:
        """The line is gone, and with it everybody who waits on it."""
        if self._turn is not None:
            self._turn.current = False
