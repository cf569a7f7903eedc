"""Converts what a broker of AMQP 1.0 gives as its reason to the number that AMQP 0-9-1 has for it, which has a remedy.

Pure.
"""

from __future__ import annotations

from fencebus_agent.amqp1_profile import Profile
from fencebus_schemas.errors import FencebusError

NOT_FOUND, REFUSED, NO_ENTRY = 404, 403, 530
_CODES = (
    ("amqp:not-found", NOT_FOUND),
    # RabbitMQ lets everybody in, into whichever virtual host, and looks only once there is something to be done there.
    ("amqp:unauthorized-access: Access for user ", NO_ENTRY),
    ("amqp:unauthorized-access", REFUSED),
)
_CLOSED = "the other side closed the connection"
"""The agent's words where no reason is given: RabbitMQ's way of saying that a password is wrong."""
_AROUND = ("what came cannot be understood: ", ", before it let us in: the user or the password may be wrong")
"""What the agent says besides the broker's reason; the remedies know better."""


class Refused(FencebusError):
    """A broker does not want something, or has gone.  ``reply_code`` is 0 where the reason says too little."""

    def __init__(self, reason: str, reply_code: int) -> None:
        super().__init__(reason)
        self.reply_code = reply_code


def refused(reason: str) -> Refused:
    """Of what was tried after the login."""
    return Refused(reason, next((code for name, code in _CODES if reason.startswith(name)), 0))


def shut_out(reason: str, *, named: bool) -> Refused:
    """Of the login itself, which says who comes if ``named``."""
    prefix, suffix = _AROUND
    bare = reason.removesuffix(suffix).removeprefix(prefix)
    if "Authentication failed" in bare or bare == _CLOSED:
        return Refused(bare, REFUSED if named else 0)
    entered = bare.startswith(("amqp:unauthorized-access", "amqp:not-allowed", "amqp:not-found"))
    return Refused(bare, NO_ENTRY if entered else 0)


def vouching(user: str, profile: Profile) -> str:
    """Whom the broker vouches for as the sender of what came, for people."""
    if user:
        return f"the broker vouches for user {user}"
    if profile.vouches:
        return (
            "the broker vouches for nobody, as it compares no user ids (qpidd does with auth=yes, for a user it knows)"
        )
    return f"{profile.name} vouches for nobody on AMQP 1.0"
