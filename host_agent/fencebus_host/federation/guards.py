"""Decides which guards stand on which VMs of one host: leases that end by themselves, with a serial that tells whether
a guard stood without a break (S2, S14, S15).  Pure.

A guard does not kill: it watches, and what turns up is reported at once to whoever set it, who orders the kill; so
every kill passes the same checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fencebus_schemas.model import HostId, RequestId, Uuid
from fencebus_schemas.peer import Guard, Purpose


@dataclass(slots=True)
class Held:
    """One guard that stands here."""

    request: RequestId
    vm: Uuid
    source: Uuid | None
    purpose: Purpose
    coordinator: HostId
    serial: str
    until: float
    round: int


class Guards:
    """The guards of one host."""

    def __init__(self, draw: Callable[[], str], memory: float) -> None:
        """``memory``: seconds for which a guard that is gone is still known as what its source had asked for."""
        self._draw, self._memory = draw, memory
        self._held: dict[Uuid, dict[RequestId, Held]] = {}
        self._asked: dict[RequestId, Held] = {}
        """Fences that guests have asked for, by guards that stand or stood a while ago (S16)."""
        self._asked_until: dict[RequestId, float] = {}

    def install(self, message: Guard, until: float, now: float) -> Held | None:
        """Install or renew; ``None`` if a start guard cannot be granted.

        A fence comes before every start, and a start before those with a greater request id: it takes their guards
        away, so that of several that hold some members each, one gets all.
        """
        others = [held for held in self.on(message.vm, now) if held.request != message.request]
        if message.purpose is Purpose.START and any(_comes_before(held, message) for held in others):
            return None
        for held in others:
            if held.purpose is Purpose.START:
                self.lift(held.request, held.vm)
        return self._renewed(message, until, now)

    def _renewed(self, message: Guard, until: float, now: float) -> Held:
        guards = self._held.setdefault(message.vm, {})
        held = guards.get(message.request)
        if held is None or now >= held.until or held.purpose is not message.purpose:
            held = Held(
                message.request,
                message.vm,
                message.source,
                message.purpose,
                message.sender,
                self._draw(),
                until,
                message.round,
            )
            guards[message.request] = held
        held.until = max(held.until, until)
        held.round = max(held.round, message.round)
        if held.source is not None and held.purpose is Purpose.FENCE:
            self._asked[held.request] = held
            self._asked_until[held.request] = held.until + self._memory
        return held

    def touched(self, vm: Uuid) -> None:
        """Something happened to the VM here: no guard on it was unbroken."""
        for held in self._held.get(vm, {}).values():
            held.serial = self._draw()

    def lift(self, request: RequestId, vm: Uuid) -> None:
        """Remove a guard, if it stands."""
        guards = self._held.get(vm, {})
        guards.pop(request, None)
        if not guards:
            self._held.pop(vm, None)

    def serial(self, request: RequestId, vm: Uuid, now: float) -> str:
        """The serial of a guard that stands now; empty if none does."""
        held = self._held.get(vm, {}).get(request)
        return held.serial if held is not None and now < held.until else ""

    def on(self, vm: Uuid, now: float) -> list[Held]:
        """The guards that stand on a VM now."""
        return [held for held in self._held.get(vm, {}).values() if now < held.until]

    def asked_by(self, source: Uuid, now: float) -> list[Held]:
        """The fences that this guest has asked for, as far as is known here.

        S16: also those whose guard was lifted or has ended a while ago.  An order of the guest's rival may stand on
        what was known before the guest's request was carried out, and is good for a lease from then on.
        """
        return [
            held for held in self._asked.values() if held.source == source and now < self._asked_until[held.request]
        ]

    def expire(self, now: float) -> None:
        """Forget the guards whose lease is over."""
        over = [held for guards in self._held.values() for held in guards.values() if now >= held.until]
        for held in over:
            self.lift(held.request, held.vm)
        for request in [request for request, until in self._asked_until.items() if now >= until]:
            del self._asked[request], self._asked_until[request]


def _comes_before(held: Held, message: Guard) -> bool:
    return held.purpose is Purpose.FENCE or held.request < message.request
