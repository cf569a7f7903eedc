"""Lets others hear of what a federation keeps: a keeper around another one."""

from __future__ import annotations

from collections.abc import Callable

from fencebus_host.effects import Kept
from fencebus_host.routers.federated.carrier import Keeper

KeptSink = Callable[[Kept], None]


class WatchedKeeper:
    """Implements ``Keeper`` by another one, and tells whoever watches of each record."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._sinks: list[KeptSink] = []

    def watch(self, sink: KeptSink) -> None:
        """Call ``sink`` in the event loop with each record, before it is written."""
        self._sinks.append(sink)

    async def keep(self, record: Kept) -> bool:
        """See the port."""
        for sink in self._sinks:
            sink(record)
        return await self._keeper.keep(record)
