"""Decides what a cluster's fencing history proves about a host, by our own clock alone (S13).  Pure.

The history's times are somebody else's clock.  What counts is between which two of our own looks an event began and was
over, of a node that an earlier look has shown alive.  What the first look showed may be of any time, and so may what a
fencer that was restarted is told by the others: both prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs.cluster_view import HUMAN, ClusterView, FenceEvent, Result


@dataclass(frozen=True, slots=True)
class _Done:
    """A fencing that was seen to succeed."""

    event: FenceEvent
    not_before: float
    done_after: float


class FenceHistory:
    """What the looks at one cluster have shown, in their order."""

    def __init__(self) -> None:
        self._looked_at: float | None = None
        self._known: set[FenceEvent] = set()
        self._clear_at: dict[str, float] = {}
        """The last look that showed no fencing of a target under way."""
        self._alive: set[str] = set()
        """Nodes that were seen online, and not fenced since."""
        self._done: dict[str, _Done] = {}
        self._view: ClusterView | None = None
        self._lack, self._cut_off = "nobody has looked yet", False
        """Why there is no view, if there is none; true if that was for want of time."""

    def looked(self, view: ClusterView, at: float) -> None:
        """``at``: when the look began."""
        done = [event for event in reversed(view.events) if event.result is Result.SUCCESS]
        if self._looked_at is not None:
            for event in done:
                if event not in self._known:
                    self._took_place(event, self._looked_at)
        self._known.update(done)
        for node in view.online:
            self._done.pop(node, None)
        self._alive.update(view.online if view.quorate else ())
        under_way = {event.target for event in view.events if event.result is Result.PENDING}
        self._clear_at.update(dict.fromkeys(view.nodes - under_way, at))
        self._looked_at, self._view = at, view

    def failed(self, why: str, cut_off: bool = False) -> None:
        """A look showed nothing: what is new at the next may be of any time since, which is all that will be said."""
        self._view, self._lack, self._cut_off = None, why, cut_off

    def _took_place(self, event: FenceEvent, before: float) -> None:
        was_alive = event.target in self._alive
        self._alive.discard(event.target)
        if not event.is_power:
            # Switched on, or let in again: what was off before is so no more.
            self._done.pop(event.target, None)
        elif was_alive or event.target in self._done:
            self._done[event.target] = _Done(event, self._clear_at.get(event.target, float("-inf")), before)

    def says(self, host: str) -> Finding:
        """What is known of a host after the last look."""
        view = self._view
        if view is None:
            return replace(_unknown(f"pacemaker has said nothing about {host}: {self._lack}"), cut_off=self._cut_off)
        node = view.node_of(host)
        if node is None:
            return _unknown(f"pacemaker knows no node {host}")
        if not view.quorate:
            return _unknown("this host's part of the pacemaker cluster has no quorum")
        if node in view.online:
            text = f"pacemaker says that {host} is online: is only its fence_virtd dead? Start it there"
            return Finding(Witness.PACEMAKER, Fate.ALIVE, text)
        if view.not_power:
            return _unknown(f"pacemaker may have fenced {host} by {view.not_power[0]}, which leaves it running")
        done = self._done.get(node)
        if done is None or _latest(view, node, done.event.delegate == HUMAN) != done.event:
            return _unknown(f"pacemaker has not been seen to fence {host}")
        return _found(host, done)


def _found(host: str, done: _Done) -> Finding:
    event = done.event
    if event.delegate == HUMAN:
        text = f"somebody confirmed to pacemaker that {host} is down"
        return Finding(Witness.OPERATOR, Fate.OFF, text, done.not_before, done.done_after)
    did = "switched off" if event.action == "off" else "rebooted"
    fate = Fate.OFF if event.action == "off" else Fate.FENCED
    text = f"pacemaker {did} {host} through {event.delegate or 'one of its nodes'} at {event.completed}"
    return Finding(Witness.PACEMAKER, fate, text, done.not_before, done.done_after)


def _latest(view: ClusterView, node: str, by_hand: bool) -> FenceEvent | None:
    """crm_mon prints what is under way first, then the latest.

    Somebody's word is given because the cluster does not get the node off: attempts that hang and fail say nothing
    against it, be they told as later ones.
    """
    of_node = (event for event in view.events if event.target == node)
    return next((event for event in of_node if not (by_hand and _came_to_nothing(event))), None)


def _came_to_nothing(event: FenceEvent) -> bool:
    return event.is_power and event.result is not Result.SUCCESS


def _unknown(text: str) -> Finding:
    return Finding(Witness.PACEMAKER, Fate.UNKNOWN, text)
