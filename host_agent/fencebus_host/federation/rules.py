"""The clauses of S6, S7, S12, S15 and S16 that a host applies to what another host asks of it, a function each.  Pure.

All times are of this host's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fencebus_host.federation.guards import Held
from fencebus_host.federation.tokens import Fresh
from fencebus_schemas.model import Life, Reason, RequestId, Uuid
from fencebus_schemas.peer import Fence, Purpose

LEASE = 2.0
"""Seconds for which a guard stands unless it is renewed; as long does a host know a request that it has heard of."""
LOCAL_SIGNS = frozenset(" :")
"""In what a life is called that has no mark of its own: its process, the hypervisor's number, ``saved:``.  Each means
something on its own host alone, and on another one perhaps a younger life.
"""


def s12_is_old(life: Life | None, fresh: Fresh, since: float, lives: Collection[str] = ()) -> bool:
    """S12: true only if the life certainly had begun before the request was received.

    ``lives``: marks of lives for which the host on which they began has vouched.  ``since``: when the VM's life was
    first seen here, or this daemon began to watch; a life without a known birth was there by then.
    """
    if life is None:
        return False
    if life.mark in lives and not LOCAL_SIGNS & set(life.mark):
        return True
    return (since if life.began_at is None else life.began_at) <= fresh.requested_at


def s12_in_time(now: float, begin_by: float, until: float) -> Reason | None:
    """S12: nothing is carried out late."""
    return Reason.DEADLINE if now >= min(begin_by, until) else None


def s16_source_is_condemned(source: Uuid | None, condemned: Collection[Uuid]) -> Reason | None:
    """S16: a request dies with its source, once a fence of the source is accepted."""
    return Reason.SOURCE_FENCED if source is not None and source in condemned else None


def s16_loses_the_tie(request: RequestId, order: Fence, known: Iterable[Held]) -> Reason | None:
    """S16: of two nodes that shoot each other the smaller request id wins."""
    rivals = (held for held in known if held.vm == order.source.vm and held.source == order.vm)
    lost = any(held.request < request for held in rivals if held.purpose is Purpose.FENCE)
    return Reason.SOURCE_FENCED if lost else None


def s16_knows_its_guests(order: Fence, now: float, started_at: float, appeared_at: float | None) -> Reason | None:
    """S16: what the target has asked for itself may be unknown here for as long as a request is known elsewhere: just
    after this daemon's start, and just after the target's arrival.
    """
    if order.source.vm is None:
        return None
    since = max(started_at, appeared_at if appeared_at is not None else started_at)
    return Reason.IN_FLIGHT if now < since + LEASE else None


def s16_asked_by_the_life_here(fresh: Fresh, since: float) -> bool:
    """S16: a request dies with its source, and no later life of that guest takes it up: it counts as known to the host
    of its source only if the life there was there already when it was received.

    ``since``: when the guest appeared on this host, or this daemon began to watch.
    """
    return since <= fresh.requested_at


def s15_claim_stands(serial: str, granted: str) -> Reason | None:
    """S15: a start needs the exclusive claim that was granted for it, unbroken."""
    return None if serial and serial == granted else Reason.NOT_STARTED
