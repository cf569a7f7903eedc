"""Converts names of QMF agents and classes to routing keys (facts: qmf2 1.1 to 1.4).

Code of the WireError: ``agent-name``.
"""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.errors import WireError

LOCATE_KEY = "console.request.agent_locate"
"""To whom it is sent: whoever is an agent."""
TO_AGENTS = "console.#"
"""What an agent binds on the topic exchange, for the requests that go to all."""
HEARTBEATS, DATA, EVENTS = "agent.ind.heartbeat.#", "agent.ind.data.#", "agent.ind.event.#"
"""What a console binds on the topic exchange."""


@dataclass(frozen=True)
class AgentName:
    """Who an agent is; the same after each of its restarts.  As text: ``vendor:product:instance``."""

    vendor: str
    product: str
    instance: str
    """May hold colons, as nothing else may."""

    @classmethod
    def parse(cls, text: str) -> AgentName:
        """The name that ``text`` spells, split at its first two colons.  Raises WireError."""
        parts = text.split(":", 2)
        if len(parts) < 3 or not all(parts):
            raise WireError("agent-name", f"{text[:80]!r} is no name of an agent")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.vendor}:{self.product}:{self.instance}"

    @property
    def key(self) -> str:
        """Its words in a routing key."""
        return f"{word(self.vendor)}.{word(self.product)}.{word(self.instance)}"

    @property
    def direct_subject(self) -> str:
        """A second address of it, on the topic exchange, where a broker can grant rights per key.

        The same after a restart: a C++ console never learns another (facts: qmf2 0.4).
        """
        return f"direct-agent.route.{word(self.instance)}"

    @property
    def heartbeat_key(self) -> str:
        """Where its heartbeats go."""
        return f"agent.ind.heartbeat.{self.key}"

    def data_key(self, package: str, class_name: str) -> str:
        """Where its objects of a class go."""
        return f"agent.ind.data.{word(package)}.{word(class_name)}.{self.key}"

    def event_key(self, package: str, class_name: str, severity: str) -> str:
        """Where its events go; the severity as a word."""
        return f"agent.ind.event.{word(package)}.{word(class_name)}.{severity}.{self.key}"


def word(text: str) -> str:
    """One word of a routing key: what holds dots would be several."""
    return text.replace(".", "_")
