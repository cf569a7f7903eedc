"""Decides what an agent's objects are at a time, and which of them consoles have not been told of yet.

Pure bookkeeping.  Times are nanoseconds since 1970, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fencebus_schemas.amqp010 import Map
from fencebus_schemas.qmf2_data import Data, ObjectId, SchemaId
from fencebus_schemas.qmf2_schema import ClassSchema

REMEMBERED = 300 * 10**9
"""Nanoseconds for which an object that is gone is told as such whenever everything is told: one word may be lost."""


def object_name(schema: SchemaId, key: str) -> str:
    """The name of an object: readable, and the same after a restart of the agent (facts: qpidd 3e)."""
    return f"{schema.package}:{schema.class_name}:{key}"


class QmfObjects:
    """The objects of one agent."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._there: dict[str, Data] = {}
        self._gone: dict[str, Data] = {}
        self._untold: dict[str, None] = {}

    # ---- what happens to them

    def show(self, described: ClassSchema, objects: Mapping[str, Map], now: int) -> bool:
        """These, by their keys, are all objects of the class from now on.  True if that changes anything."""
        changes = [self.put(described, key, values, now) for key, values in objects.items()]
        names = {object_name(described.id, key) for key in objects}
        others = [
            one.id.name for one in self._there.values() if one.schema == described.id and one.id.name not in names
        ]
        for name in others:
            self._end(name, now)
        return any(changes) or bool(others)

    def put(self, described: ClassSchema, key: str, values: Map, now: int) -> bool:
        """This object is there, as it is now.  True if that changes anything."""
        name = object_name(described.id, key)
        known = self._there.get(name)
        if known is not None and known.values == values:
            return False
        created = known.created if known is not None else now
        # Without an epoch: the object is the same one after a restart (facts: qpidd 3e).
        self._there[name] = Data(ObjectId(self._agent, name), described.id, values, created, now)
        self._gone.pop(name, None)
        self._untold[name] = None
        return True

    def remove(self, described: ClassSchema, key: str, now: int) -> bool:
        """This object is not there any more.  True if it was."""
        name = object_name(described.id, key)
        if name not in self._there:
            return False
        self._end(name, now)
        return True

    def _end(self, name: str, now: int) -> None:
        self._gone[name] = replace(self._there.pop(name), updated=now, deleted=now)
        self._untold[name] = None

    # ---- what is asked

    def find(self, name: str) -> Data | None:
        """The object of this name."""
        return self._there.get(name)

    def of(self, asked: SchemaId | None) -> list[Data]:
        """The objects of the classes that are meant; all of them for ``None``."""
        return [one for one in self._there.values() if asked is None or asked.covers(one.schema)]

    # ---- what has to be told

    def take_changes(self) -> list[Data]:
        """Each object that has changed since this was last called, as it is now; also what is gone."""
        names, self._untold = self._untold, {}
        return list(self._known(names))

    def take_all(self, now: int) -> list[Data]:
        """All objects, and those that have gone lately: nothing is left to be told."""
        self._untold = {}
        self._gone = {name: one for name, one in self._gone.items() if one.deleted + REMEMBERED > now}
        return [*self._there.values(), *self._gone.values()]

    def _known(self, names: Iterable[str]) -> Iterable[Data]:
        for name in names:
            known = self._there.get(name) or self._gone.get(name)
            if known is not None:
                yield known
