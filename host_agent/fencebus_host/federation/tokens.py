"""Decides how old a command may be, by the receiver's own clock alone (design 5, Fresh).

Each answer and announce carries a random token.  A command quotes the receiver's latest: it was made after that
token was issued, so its request's deadline is no later than the token's birth plus the patience that it quotes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fencebus_schemas.model import Incarnation
from fencebus_schemas.peer import Quote

REISSUE = 0.1
"""Seconds for which one token serves all answers."""
LIFETIME = 120.0
"""Seconds after which a token is forgotten; no command is good for longer, whatever the patience of its request."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A command that was accepted, on the receiver's clock."""

    until: float
    """No later than the request's deadline."""
    requested_at: float
    """No later than the moment at which the request was received: a life that had begun by then is an old one."""


class Tokens:
    """The tokens that one host has issued since its daemon started."""

    def __init__(self, incarnation: Incarnation, draw: Callable[[], str]) -> None:
        self._incarnation = incarnation
        self._draw = draw
        self._issued: dict[str, float] = {}
        self._newest = ""

    def newest(self, now: float) -> str:
        """The token to send with what is not about its age."""
        if not self._newest or now - self._issued[self._newest] > REISSUE:
            return self.fresh(now)
        return self._newest

    def fresh(self, now: float) -> str:
        """A token that was born now: a command that quotes it is as young as it can be."""
        self._forget_old(now)
        self._newest = self._draw()
        self._issued[self._newest] = now
        return self._newest

    def accept(self, quote: Quote, now: float) -> Fresh | None:
        """``None`` for a command to another incarnation, without one of our tokens, or past its patience."""
        issued = self._issued.get(quote.token)
        if issued is None or quote.incarnation != self._incarnation:
            return None
        if not now - issued <= quote.patience <= LIFETIME:
            return None
        return Fresh(issued + quote.patience, issued - max(quote.age, 0.0))

    def _forget_old(self, now: float) -> None:
        while self._issued and now - next(iter(self._issued.values())) > LIFETIME:
            del self._issued[next(iter(self._issued))]
