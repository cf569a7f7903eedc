"""One host's machine among others that a test speaks for: what goes out is kept, what comes in is said by the test."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from fencebus_host.effects import Boot, Conclude, Effects, Keep, Kill, Look, Send
from fencebus_host.evidence import Evidence
from fencebus_host.federation.coordinator import Matter
from fencebus_host.federation.machine import Federation
from fencebus_host.ownership import Ownership
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import (
    Action,
    FenceRequest,
    HostId,
    Incarnation,
    Life,
    Observation,
    Proof,
    Reason,
    Sight,
    Source,
    Uuid,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import (
    EVERYONE,
    Announce,
    FenceAnswer,
    Guard,
    GuardAnswer,
    Inventory,
    Message,
    StartAnswer,
)
from tests.host_agent.federation.words import ME, MINE, OFF, ONE, VM, counting

A, B = HostId("a"), HostId("b")
OWNER = A
M = TypeVar("M", bound=Message)
WIDE = 20.0


def incarnation(host: HostId) -> Incarnation:
    """Of another host."""
    return Incarnation("boot", f"machine-{host}", "1")


class Table:
    """This host coordinates; ``a`` and ``b`` are the other members."""

    def __init__(
        self,
        action: Action = Action.OFF,
        source: Uuid | None = None,
        state: VmState = VmState.RUNNING,
        life: str = "",
    ) -> None:
        self.now, self.out, self.evidence = 100.0, list[Message](), list[Evidence]()
        self.mine, self.refusal = OFF, list[Reason]()
        self.guards: dict[HostId, Guard] = {}
        self.acts: list[Kill | Boot] = []
        self.ownership = Ownership(ME, MINE, frozenset((ME, A, B)))
        self.machine = Federation(ME, MINE, self.ownership, lambda _order: True, counting(), 0.0)
        record = VmRecord(VM, "vm7", state, A, incarnation(A), life=life)
        for host, records in ((A, (record,)), (B, ())):
            self.hear(Inventory(host, incarnation(host), ME, 1, "", records, (ME, A, B), ()))
            self.hear(Announce(host, incarnation(host), EVERYONE, 1, "", "", f"token-{host}"))
        self.out.clear()
        clock = Deadline(self.now + WIDE, lambda: self.now)
        asker = Source("operator" if source is None else source, source)
        self.request = FenceRequest(ONE, action, VM, asker, "test", clock, self.now)
        matter = Matter(self.request, VM, "identity", None, (record,), self._permit)
        submit = self.machine.submit_start if action is Action.ON else self.machine.submit_fence
        self.do(submit(matter, self.now))

    def _permit(self) -> Reason | None:
        return self.refusal[0] if self.refusal else None

    def do(self, effects: Effects) -> None:
        """This host's own looks and writes are answered at once."""
        for effect in effects:
            if isinstance(effect, Send):
                self.out.append(effect.message)
                if isinstance(effect.message, Guard):
                    self.guards[effect.message.to] = effect.message
            elif isinstance(effect, Look):
                self.do(self.machine.looked(effect.job, self.mine, self.now))
            elif isinstance(effect, Keep):
                self.do(self.machine.kept(effect.job, True, self.now))
            elif isinstance(effect, Conclude):
                self.evidence.append(effect.evidence)
            elif isinstance(effect, Kill | Boot):
                self.acts.append(effect)

    def hear(self, message: Message) -> None:
        """The carrier brings it."""
        self.do(self.machine.received(message, self.now))

    def wait(self, seconds: float) -> None:
        """The machine ticks ten times a second."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.do(self.machine.tick(self.now))

    def sent(self, kind: type[M], to: HostId | None = None) -> list[M]:
        """What went out of that kind since it was last asked."""
        found = [each for each in self.out if isinstance(each, kind) and to in (None, each.to)]
        self.out = [each for each in self.out if each not in found]
        return found

    def guard_of(self, host: HostId) -> Guard:
        """The last guard that was sent there."""
        return self.guards[host]

    def says(
        self,
        host: HostId,
        sight: Sight | None,
        serial: str = "s",
        refusal: Reason | None = None,
        token: str = "",
        is_old: bool = False,
        source_here: bool = False,
    ) -> None:
        """A member answers its last guard."""
        guard = self.guard_of(host)
        token = token or f"token-{host}"
        answer = GuardAnswer(host, incarnation(host), ME, ONE, guard.round, guard.stamp, token, serial, sight, refusal)
        self.hear(replace(answer, is_old=is_old, source_here=source_here))

    def deny(self, *hosts: HostId) -> None:
        """They have nothing of it."""
        for host in hosts:
            self.says(host, OFF)

    def fenced(self, host: HostId, seen: Observation | None, refusal: Reason | None = None, text: str = "") -> None:
        """A member answers an order to fence."""
        self.hear(FenceAnswer(host, incarnation(host), ME, ONE, f"token-{host}", seen, refusal, text))

    def started(self, host: HostId, seen: Observation | None, refusal: Reason | None = None) -> None:
        """A member answers an order to start."""
        self.hear(StartAnswer(host, incarnation(host), ME, ONE, f"token-{host}", seen, refusal))

    @property
    def over(self) -> bool:
        """The evidence was laid down."""
        return bool(self.evidence)


def killed(host: HostId = A, mark: str = "life") -> Observation:
    """A plain kill there."""
    return Observation(
        VM, VmState.OFF, host, incarnation(host), Proof.PROCESS_EXIT, 5.0, was=VmState.RUNNING, ended=Life(mark)
    )


def runs(host: HostId = A) -> Observation:
    """It was started there."""
    return Observation(VM, VmState.RUNNING, host, incarnation(host), Proof.NONE, 5.0, was=VmState.OFF)
