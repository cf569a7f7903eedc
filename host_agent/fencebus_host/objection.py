"""Says why a fence has not succeeded."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.model import Reason


@dataclass(frozen=True, slots=True)
class Objection:
    """A stable reason, and a sentence that names what is missing."""

    reason: Reason
    text: str
