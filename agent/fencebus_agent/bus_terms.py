"""Says how a client of a bus connects, whatever the library."""

from __future__ import annotations

from dataclasses import dataclass, field

from fencebus_schemas.bus_url import Tls


@dataclass(frozen=True, slots=True)
class Terms:
    """The same for every broker or host that it connects to."""

    domain: str = "default"
    """The QMF domain: its name is in the exchanges'."""
    tls: Tls = field(default_factory=Tls)
    client: str = "fencebus"
    """What a broker shows to its administrator as the connection's name."""
    connect_timeout: float = 4.0
    heartbeat: float = 5.0
    """Seconds; whoever says nothing for twice as long is lost."""


DEFAULTS = Terms()
