"""Decides which agents there are and what they have, from what they and others say.

Pure.  Who sends as which agent is not proven by QMF: so an agent keeps the user for whom the broker vouched when it was
first heard (or the one that the configuration names), and whoever speaks in its name as another user is not believed;
nor is an agent that speaks of another's objects.  Times are seconds of a clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from fencebus_agent.qmf_domains import SHUTOFF, VENDOR
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import DOMAIN
from fencebus_schemas.qmf2_data import Data, SchemaId
from fencebus_schemas.qmf2_names import AgentName

SHORTEST_INTERVAL = 10
SILENT_BEATS = 3
MOST_AGENTS, MOST_OBJECTS = 20_000, 50_000
"""Agents, and objects of one agent: whoever makes up more of them does not fill the memory."""


class Heard(Enum):
    """What a heartbeat says."""

    NEW = "not known before"
    RESTARTED = "known, in an earlier run"
    CHANGED = "its classes have changed"
    ALIVE = "known"
    IMPOSTOR = "not who it says it is"
    TOO_MANY = "one more than there can be"


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """An agent as it was last heard."""

    attributes: AgentAttributes
    user: str
    """For whom the broker vouched; empty if for nobody."""
    heard_at: float
    synced: bool = False
    """All its objects have been asked for, and came."""

    @property
    def name(self) -> AgentName:
        """Who it is."""
        return self.attributes.name

    def silent_since(self, now: float) -> bool:
        """True if it has missed its heartbeats."""
        return now - self.heard_at > SILENT_BEATS * max(self.attributes.interval, SHORTEST_INTERVAL)


class Picture:
    """What a console knows.  ``users``: who sends for which agent, by its name, where that is configured."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users
        self._agents: dict[str, KnownAgent] = {}
        self._objects: dict[str, dict[str, Data]] = {}
        self._touched: dict[str, dict[str, Data]] = {}
        self._asked: dict[str, int | None] = {}

    # ---- what is said

    def heard(self, sender: str, attributes: AgentAttributes, user: str, now: float) -> Heard:
        """A heartbeat, or the answer to a look for agents."""
        if sender != str(attributes.name) or not self.believes(sender, user):
            return Heard.IMPOSTOR
        known = self._agents.get(sender)
        if known is None and len(self._agents) >= MOST_AGENTS:
            return Heard.TOO_MANY
        heard = _compare(known, attributes)
        synced = known is not None and known.synced and heard is Heard.ALIVE
        self._agents[sender] = KnownAgent(attributes, user, now, synced)
        return heard

    def believes(self, sender: str, user: str) -> bool:
        """True if this user may speak as this agent."""
        known = self._agents.get(sender)
        expected = self._users.get(sender, known.user if known else None)
        return expected is None or expected == user

    def told(self, sender: str, objects: Iterable[Data], user: str, now: float) -> tuple[Data, ...]:
        """Objects were indicated.  Which of them are believed; those of an agent that is not known yet are not."""
        known = self._agents.get(sender)
        if known is None or not self.believes(sender, user):
            return ()
        self._agents[sender] = replace(known, heard_at=now)
        own = tuple(one for one in objects if speaks_for_itself(sender, one))
        for one in own:
            self._keep(sender, one)
        return own

    def begin(self, sender: str) -> None:
        """It is being asked for all its objects, class by class."""
        self._asked[sender] = self._epoch(sender)
        self._touched[sender] = {}

    def answered(self, sender: str, asked: SchemaId, objects: Iterable[Data]) -> bool:
        """All its objects of a class: what is not among them is gone, unless it was told of in the meantime.

        False, and nothing changes, if the agent has started again since ``begin``, or is known no more.
        """
        if not self._is_same_run(sender):
            return False
        there = {one.id.name: one for one in objects if speaks_for_itself(sender, one)}
        for name, said in self._touched[sender].items():
            # Both times are of the agent's clock: what it said last counts, whichever way was the faster one.
            if asked.covers(said.schema) and (name not in there or there[name].updated <= said.updated):
                there[name] = said
        others = {name: one for name, one in self._of(sender).items() if not asked.covers(one.schema)}
        self._objects[sender] = {**others, **{name: one for name, one in there.items() if not one.deleted}}
        return True

    def finish(self, sender: str) -> bool:
        """All classes have been answered.  False as above."""
        is_same = self._is_same_run(sender)
        if is_same:
            self._agents[sender] = replace(self._agents[sender], synced=True)
        self._touched.pop(sender, None)
        self._asked.pop(sender, None)
        return is_same

    def age(self, now: float) -> list[KnownAgent]:
        """Forget whoever has been silent for too long; who that was."""
        silent = [one for one in self._agents.values() if one.silent_since(now)]
        for one in silent:
            del self._agents[str(one.name)]
            self._objects.pop(str(one.name), None)
        return silent

    # ---- what is known

    def agents(self) -> Sequence[KnownAgent]:
        """All of them, by their names."""
        return [self._agents[name] for name in sorted(self._agents)]

    def agent(self, name: str) -> KnownAgent | None:
        """One of them."""
        return self._agents.get(name)

    def objects(self, asked: SchemaId) -> list[Data]:
        """All objects of a class, over all agents by their names."""
        return [
            one for name in sorted(self._objects) for one in self._objects[name].values() if asked.covers(one.schema)
        ]

    def conflicts(self) -> dict[str, tuple[str, ...]]:
        """VMs of which more than one agent says that it has their life, by UUID: somebody lies, or two copies run."""
        claims: dict[str, list[str]] = {}
        for one in self.objects(SchemaId(DOMAIN.id.package, DOMAIN.id.class_name)):
            if one.values.get("state") != SHUTOFF:
                claims.setdefault(str(one.values.get("uuid")), []).append(one.id.agent)
        return {vm: tuple(agents) for vm, agents in claims.items() if len(agents) > 1}

    def _keep(self, sender: str, one: Data) -> None:
        if sender in self._touched:
            self._touched[sender][one.id.name] = one
        objects = self._objects.setdefault(sender, {})
        if one.deleted:
            objects.pop(one.id.name, None)
        elif one.id.name in objects or len(objects) < MOST_OBJECTS:
            objects[one.id.name] = one

    def _of(self, sender: str) -> Mapping[str, Data]:
        return self._objects.get(sender, {})

    def _epoch(self, sender: str) -> int | None:
        known = self._agents.get(sender)
        return known.attributes.epoch if known else None

    def _is_same_run(self, sender: str) -> bool:
        epoch = self._epoch(sender)
        return epoch is not None and epoch == self._asked.get(sender)


def speaks_for_itself(sender: str, one: Data) -> bool:
    """True if an agent may say this: the object is its own, and a Domain of a fencebus agent is its host's."""
    if one.id.agent != sender:
        return False
    vendor, _, host = sender.split(":", 2) if sender.count(":") >= 2 else (sender, "", "")
    owner = one.values.get("ownerHost")
    return vendor != VENDOR or owner in (None, host)


def _compare(known: KnownAgent | None, attributes: AgentAttributes) -> Heard:
    if known is None:
        return Heard.NEW
    if known.attributes.epoch != attributes.epoch:
        return Heard.RESTARTED
    return Heard.ALIVE if known.attributes.schema_updated == attributes.schema_updated else Heard.CHANGED
