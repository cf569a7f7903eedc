"""Converts what a QMF agent says of itself, in heartbeats and when it is looked for (facts: qmf2 1.5).

Codes of the WireError: ``missing``, ``type``, ``agent-name``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.qmf2_fields import plain_map, take_text, take_whole
from fencebus_schemas.qmf2_names import AgentName

ANSWERS_SCHEMAS = 1
"""The capability of an agent that knows queries for schemas, and predicates."""
_OLD_WORDS = {"timestamp": "_timestamp", "heartbeat_interval": "_heartbeat_interval", "epoch": "_epoch"}


@dataclass(frozen=True)
class AgentAttributes:
    """An agent at some time."""

    name: AgentName
    timestamp: int
    """Nanoseconds since 1970."""
    interval: int
    """Seconds between its heartbeats; consoles wait for three of them, or 30 s."""
    epoch: int = 1
    """Another one with each of its starts."""
    schema_updated: int = 0
    """Nanoseconds since 1970; consoles ask for the classes again when it changes.  Old C++ consoles need it at once."""
    capability: int = ANSWERS_SCHEMAS
    direct_subject: str = ""
    more: Map = field(default_factory=dict)
    """Whatever else it says; no such name begins with ``_``."""

    def to_map(self) -> dict[str, Value]:
        """The map."""
        direct: dict[str, Value] = {"_direct_subject": self.direct_subject} if self.direct_subject else {}
        return {
            **self.more,
            "_vendor": self.name.vendor,
            "_product": self.name.product,
            "_instance": self.name.instance,
            "_name": str(self.name),
            "_timestamp": self.timestamp,
            "_heartbeat_interval": self.interval,
            "_epoch": self.epoch,
            "_schema_updated": self.schema_updated,
            "qmf.agent_capability": self.capability,
            **direct,
        }

    @classmethod
    def from_map(cls, values: Map) -> AgentAttributes:
        """Raises WireError.  Words that older agents use are understood."""
        known = plain_map({_OLD_WORDS.get(name, name): value for name, value in values.items()})
        return cls(
            AgentName.parse(take_text(known, "_name")),
            take_whole(known, "_timestamp"),
            take_whole(known, "_heartbeat_interval"),
            take_whole(known, "_epoch"),
            take_whole(known, "_schema_updated"),
            take_whole(known, "qmf.agent_capability"),
            take_text(known, "_direct_subject"),
            {name: value for name, value in known.items() if name[:1] != "_" and name != "qmf.agent_capability"},
        )
