"""Decides what an agent answers to a query, from memory, and how lists are cut into messages.

Pure.  Facts: qmf2 1.6, 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fencebus_agent.qmf_objects import QmfObjects
from fencebus_schemas.qmf1 import SchemaRequest, pack_schema
from fencebus_schemas.qmf2_data import Data
from fencebus_schemas.qmf2_messages import Code, Content, Failure, Indication, Item, QueryRequest, QueryResponse, What
from fencebus_schemas.qmf2_schema import ClassSchema

IN_AN_ANSWER = 50
"""Items of one message, at most: some 30 KiB of Domains."""
IN_AN_INDICATION = 10
"""As other agents do it: consoles' queues are small."""


class QmfAnswers:
    """What one agent knows, for whoever asks."""

    def __init__(self, agent: str, classes: Sequence[ClassSchema], objects: QmfObjects) -> None:
        self._agent, self._classes, self._objects = agent, tuple(classes), objects

    def answer(self, query: QueryRequest) -> list[QueryResponse | Failure]:
        """The messages, in order; all but the last one say that more follows.

        No exception to a query for objects: an old fence_virtd counts one as a VM (facts: qmf2 4.3).
        """
        if query.what is What.SCHEMA_ID:
            return self._cut(Content.SCHEMA_ID, [one.id for one in self._classes])
        if query.what is What.SCHEMA:
            return self._schema(query)
        # A query for names is answered with the objects: C++ consoles drop a list of names, and wait (facts: qmf2 1.6).
        return self._cut(Content.DATA, self._found(query))

    def schema(self, request: SchemaRequest) -> bytes | None:
        """The body of version 1's answer; ``None``, and so silence, for a class that is not ours."""
        wanted = request.schema
        for one in self._classes:
            if (one.id.package, one.id.class_name, one.id.hash) == (wanted.package, wanted.class_name, wanted.hash):
                return pack_schema(request.sequence, one)
        return None

    def _schema(self, query: QueryRequest) -> list[QueryResponse | Failure]:
        asked = query.schema
        if asked is None:
            return [Failure(self._agent, Code.INVALID_PARAMETER, "a query for a schema names the class")]
        found = [one for one in self._classes if asked.covers(one.id) and asked.hash in (None, one.id.hash)]
        return self._cut(Content.SCHEMA, found[:1])

    def _found(self, query: QueryRequest) -> list[Data]:
        if query.object is None:
            return [one for one in self._objects.of(query.schema) if query.where.holds(one.values)]
        known = self._objects.find(query.object.name)
        is_ours = query.object.agent in ("", self._agent)
        return [known] if known is not None and is_ours else []

    def _cut(self, content: Content, items: Sequence[Item]) -> list[QueryResponse | Failure]:
        pieces = cut(items, IN_AN_ANSWER) or [()]
        last = len(pieces) - 1
        return [QueryResponse(self._agent, content, piece, at != last, at) for at, piece in enumerate(pieces)]


def indications(agent: str, objects: Iterable[Data]) -> list[Indication]:
    """The messages that tell of these objects: each of one class, as its routing key is."""
    by_class: dict[tuple[str, str], list[Data]] = {}
    for one in objects:
        by_class.setdefault((one.schema.package, one.schema.class_name), []).append(one)
    return [
        Indication(agent, Content.DATA, piece) for some in by_class.values() for piece in cut(some, IN_AN_INDICATION)
    ]


def cut(items: Sequence[Item], length: int) -> list[tuple[Item, ...]]:
    """The items in pieces of at most that length."""
    return [tuple(items[at : at + length]) for at in range(0, len(items), length)]
