"""Carries out what an operator orders about other hosts: to vouch for a death, to forget one (S13)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from fencebus_host.control import Declined, Once, Question
from fencebus_host.control_members import members_of
from fencebus_host.routers.federated import FederatedRouter
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import HostId
from fencebus_schemas.status_plain import to_plain

log = logging.getLogger(__name__)


class HostOrders:
    """The orders of one daemon's operator about hosts."""

    def __init__(
        self,
        router: FederatedRouter | None,
        me: str,
        clock: Clock = boottime,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._router, self._me = router, HostId(me)
        self._clock, self._wall_clock = clock, wall_clock

    @property
    def answers(self) -> Mapping[str, Once]:
        """For the control socket."""
        return {"hosts": self.list, "confirm-dead": self.confirm_dead, "forget-host": self.forget}

    async def list(self, _question: Question) -> object:
        """All members, with what an operator should know before he vouches for a death."""
        ownership = self._federation().ownership
        rows = []
        for member in members_of(ownership, self._me, self._clock()):
            host = HostId(member.name)
            rows.append({"host": to_plain(member), "vms": self._claimed(host)})
        return rows

    async def confirm_dead(self, question: Question) -> object:
        """Write down an operator's word, and spread it."""
        router, host = self._federation(), self._other(question)
        who = f"{question.text('who', 'somebody')} ({question.by})"
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self._wall_clock()))
        router.confirm_dead(host, who, when)
        if router.ownership.confirmations.standing(host) is None:
            raise Declined("never-heard", f"nothing is known of {host}: there is no life of it to confirm the end of")
        log.warning("host %s confirmed dead by %s at %s", host, who, when)
        return {"host": host, "who": who, "when": when}

    async def forget(self, question: Question) -> object:
        """End a membership; the record spreads to all.  Only by a spelled-out ``with_vms`` that of a host that has VMs,
        as far as is known: with it goes what is known of them, and another life of theirs that has ended would be taken
        for the last (S2).
        """
        router = self._federation()
        if question.text("host") in router.ownership.configured:
            raise Declined("configured", "it stands in `hosts` of the configuration here: remove it there first")
        host = self._other(question)
        claimed = self._claimed(host)
        if claimed and not question.flag("with_vms"):
            text = f"{host} was last known to have {', '.join(claimed)}: see them run elsewhere, or `host confirm-dead`"
            raise Declined("has-vms", f"{text}; `host forget --with-vms` forgets them too")
        router.forget(host)
        log.warning("host %s forgotten by %s, with %s", host, question.by, ", ".join(claimed) or "no VM")
        return {"host": host}

    def _claimed(self, host: HostId) -> Sequence[str]:
        """Names of the VMs that it has, as far as is known."""
        everything = self._federation().ownership.everything()
        return sorted({record.name for record in everything if record.host == host and record.state.is_claim})

    def _federation(self) -> FederatedRouter:
        if self._router is None:
            raise Declined("alone", "this daemon knows no other hosts: its backend is one host's")
        return self._router

    def _other(self, question: Question) -> HostId:
        host, ownership, now = HostId(question.text("host")), self._federation().ownership, self._clock()
        if host == self._me:
            raise Declined("this-host", f"{host} is this host")
        if host not in ownership.members:
            raise Declined("no-member", f"{host} is no member; `fence_virtctl host list` shows them")
        if not ownership.is_silent(host, now):
            ago = ownership.heard_ago(host, now) or 0.0
            raise Declined("alive", f"{host} was heard {ago:.0f} s ago: it is not dead")
        return host
