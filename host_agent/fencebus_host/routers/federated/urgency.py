"""Decides how long a message between hosts is worth anything, and whether a fence depends on it.  Pure."""

from __future__ import annotations

from fencebus_schemas.peer import (
    Announce,
    Change,
    Fence,
    Fetch,
    Guard,
    Inventory,
    Message,
    Outcome,
    Rehearse,
    Rehearsed,
    Start,
)

PATIENCE = 15.0
"""Seconds for which a message that is no command is worth anything: after that its sender counts as silent."""
INDICATIONS = (Announce, Inventory, Change, Fetch, Outcome, Rehearse, Rehearsed)
"""Dropped first where there is no room, as others will come."""


def patience_of(message: Message) -> float:
    """Seconds after which nobody is to get it any more; a command's are those of its request (S12)."""
    if isinstance(message, (Guard, Fence, Start)):
        return max(message.quote.patience, 0.001)
    return PATIENCE
