"""Decides who in this process is told of what a bus brings and of how its connection is."""

from __future__ import annotations

import asyncio

from fencebus_agent.bus import Address, BusMessage, BusState, MessageSink, StateSink
from fencebus_agent.topics import binding_covers


class Sinks:
    """Those who subscribed, and those who watch.  Each is called by itself: what one does wrong is no other's loss."""

    def __init__(self) -> None:
        self._sinks: list[tuple[Address, MessageSink]] = []
        self._watchers: list[StateSink] = []
        self._closed = False
        self.bindings: tuple[Address, ...] = ()
        """Every address that somebody subscribed to, once."""

    def add(self, address: Address, sink: MessageSink) -> None:
        """Somebody subscribes."""
        self._sinks.append((address, sink))
        self.bindings = tuple(dict.fromkeys((*self.bindings, address)))

    def watch(self, sink: StateSink) -> None:
        """Somebody wants to know of the connection."""
        self._watchers.append(sink)

    def want(self, to: Address) -> bool:
        """True if somebody wants what is sent there."""
        return any(binding_covers(binding, to) for binding in self.bindings)

    def spread(self, message: BusMessage) -> None:
        """What came once, to everybody whose subscription covers it."""
        for address, sink in tuple(self._sinks):
            if binding_covers(address, message.to):
                self._give(sink, message)

    def hand(self, binding: Address, message: BusMessage) -> None:
        """What came for a binding, to those who made exactly that one: what came for another one comes by itself."""
        for address, sink in tuple(self._sinks):
            if address == binding:
                self._give(sink, message)

    def tell(self, state: BusState, reason: str) -> None:
        """Of a change of the connection."""
        for watcher in tuple(self._watchers):
            watcher(state, reason)

    def close(self) -> None:
        """Nobody is told anything more, not even what is on its way already."""
        self._closed = True
        self._sinks.clear()
        self._watchers.clear()

    def _give(self, sink: MessageSink, message: BusMessage) -> None:
        asyncio.get_running_loop().call_soon(self._call, sink, message)

    def _call(self, sink: MessageSink, message: BusMessage) -> None:
        if not self._closed:
            sink(message)
