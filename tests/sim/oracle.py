"""Decides whether a rule was broken, from the truth that no machine sees."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fencebus_agent.memory_machines import Hold, Writer
from fencebus_host.effects import Boot, Kill
from fencebus_host.federation.rules import LEASE
from fencebus_schemas.model import HostId, Life, Reason, RequestId, Uuid, VmState
from fencebus_schemas.peer import GuardAnswer
from tests.sim.asked import Asked
from tests.sim.happening import Kind

if TYPE_CHECKING:
    from tests.sim.host import SimHost
    from tests.sim.simulation import Simulation

DRIFT = 0.005
"""Seconds by which two machines' clocks can differ over one request's patience: 25 s at the rates of ``host``."""
CONFIRMED = "an operator's word that a host was off, and stayed off, was wrong"
SWITCHED_ON = "a host that its cluster had switched off was switched on by hand, and has not been heard yet"
SAVED_UNHEARD = "an image on a dead host, of a VM that was saved there just before and unheard by the coordinator"
ANOTHER_PART = "a host of another part of the network, of which nobody here knows since all state folders were removed"
ANSWERED_BY = 1.0
"""Seconds past its deadline after which every request must have been answered."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant."""

    rule: str
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.at:8.3f} {self.rule}: {self.text}"


class Oracle:
    """Watches one simulation."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.asked: list[Asked] = []
        self.violations: list[Violation] = []
        self.residues: Counter[str] = Counter()
        self._by_request: dict[RequestId, Asked] = {}
        self._killed: dict[RequestId, set[str]] = {}
        self._started: dict[str, tuple[SimHost, float]] = {}
        """The last start that was made for each request's identity: where and when."""
        self._our_starts: set[float] = set()
        """When: a life that began in another moment was started by somebody else."""
        self._told: set[tuple[int, str]] = set()
        """Old lives that were found beside each ok."""

    # -- what happens ----------

    def ask(self, asked: Asked) -> None:
        """A request arrives."""
        self.asked.append(asked)
        asked.whereabouts = {writer.life: writer.host for writer in self._sim.world.writers() if writer.vm == asked.vm}
        self._by_request[asked.request] = asked

    def word_came(self, answer: GuardAnswer) -> None:
        """A member's word reaches a coordinator."""
        asked = self._by_request.get(answer.request)
        if asked is not None:
            denies = answer.sight is not None and not answer.sight.state.is_claim
            asked.heard_from[HostId(answer.incarnation.machine_id)] = denies

    def acts(self, host: SimHost, effect: Kill | Boot, request: RequestId, life: Life | None) -> None:
        """An act of ours is about to happen, in this very instant."""
        asked = self._by_request[request]
        kind = "kill" if isinstance(effect, Kill) else "start"
        self._sim.note(f"{host.place}: {kind}s {effect.vm} for request {asked.number}")
        if self._sim.now > asked.deadline + DRIFT:
            self._break("late act", f"a {kind} {self._sim.now - asked.deadline:.3f} s after the deadline of {asked}")
        if self._all_gone(asked):
            self._break("act for nobody", f"a {kind} long after whoever asked had left: {asked}")
        if effect.vm != asked.vm and asked.by_name and not self._is_known(asked.vm):
            self.residues["a name whose VM has left for a host that was never a member"] += 1
        elif effect.vm != asked.vm:
            self._break("wrong VM", f"a {kind} of {effect.vm}, but {asked}")
        if isinstance(effect, Kill) and life is not None:
            self._kills(host, asked, life)
        elif isinstance(effect, Boot):
            self._starts(host, asked)

    def _all_gone(self, asked: Asked) -> bool:
        """Everybody who asked had left before any order that is still good can have been given."""
        gone = [each.gone_at for each in self.asked if each.identity == asked.identity]
        return all(at is not None and self._sim.now > at + LEASE + DRIFT for at in gone)

    def _kills(self, host: SimHost, asked: Asked, life: Life) -> None:
        truth = self._sim.world.look(host.place, asked.vm).life
        mark = truth.mark if truth is not None else life.mark
        began = self._sim.began(mark)
        if began > asked.at + DRIFT:
            self._break("younger life", f"{host.place} kills a life that began {began - asked.at:.3f} s after {asked}")
        self._killed.setdefault(asked.request, set()).add(mark)
        for other in self.asked:
            if other.source != asked.vm or other.vm != asked.source:
                continue
            if other.source_life == mark and asked.source_life in self._killed.get(other.request, ()):
                self._break("both died", f"{asked} and {other} both killed")

    def _starts(self, host: SimHost, asked: Asked) -> None:
        self._our_starts.add(self._sim.now)
        before = self._started.get(asked.identity)
        self._started[asked.identity] = (host, self._sim.now)
        if before is not None and before[0].wiped_at > before[1]:
            self.residues["a reboot that came again after the folder was removed that knew of the first"] += 1
        elif before is not None:
            self._break("second start", f"started once more for {asked}")
        copies = [
            writer
            for writer in self._sim.world.writers()
            if writer.vm == asked.vm and not (writer.host == host.place and writer.hold is Hold.IMAGE)
        ]
        for copy in copies:
            self._second_copy(host, asked, copy)

    def _second_copy(self, host: SimHost, asked: Asked, copy: Writer) -> None:
        text = f"{host.place} starts {asked.vm}, which {copy.host} has ({copy.life} {copy.hold.value}), for {asked}"
        if cause := self._wrong_proof(asked, copy):
            self.residues[cause] += 1
        elif self._is_outside(copy):
            self.residues["second copy beside one on a host that was never a member"] += 1
        elif self._is_in_another_part(asked, copy):
            self.residues[ANOTHER_PART] += 1
        elif self._came_between(asked, copy):
            self.residues["an administrator's start between a member's last denial and ours"] += 1
        else:
            self._break("second copy", text)

    def _came_between(self, asked: Asked, copy: Writer) -> bool:
        """Somebody else started it after the member's denial: libvirt knows no claim that would forbid it."""
        began = self._sim.began(copy.life)
        # What the coordinator's own host says to itself is no message.
        denied = asked.heard_from.get(copy.host, copy.host == asked.place)
        return began > asked.at and began not in self._our_starts and denied

    def answered(self, asked: Asked, ok: bool, reason: Reason, text: str, repeated: bool = False) -> None:
        """A requester hears of it; ``repeated``: what was told to the first who asked the same (S7)."""
        if asked.answered_at is not None:
            return
        asked.answered_at, asked.ok, asked.reason, asked.text = self._sim.now, ok, reason.value, text
        self._sim.note(f"{asked}: {'ok' if ok else 'no'}, {reason.value} {text}")
        if ok and asked.action.kills:
            for writer in self._old_writers(asked):
                # What was wrong with the first answer was found then.
                if not (repeated and (asked.number, writer.life) in self._told):
                    self._false_ok(asked, writer)

    def _old_writers(self, asked: Asked) -> list[Writer]:
        writers = (writer for writer in self._sim.world.writers() if writer.vm == asked.vm)
        # S7: the same request, sent again, is the first one.
        first = min(each.at for each in self.asked if each.identity == asked.identity)
        return [writer for writer in writers if self._sim.began(writer.life) < first]

    def _false_ok(self, asked: Asked, writer: Writer) -> None:
        self._told.add((asked.number, writer.life))
        origin = asked.whereabouts.get(writer.life, writer.host)
        text = f"ok, but {writer.host} has {writer.life} ({writer.hold.value}): {asked}"
        if cause := self._wrong_proof(asked, writer):
            self.residues[cause] += 1
        elif self._is_outside(writer):
            self.residues["ok while an old life is on a host that was never a member"] += 1
        elif self._is_in_another_part(asked, writer):
            self.residues[ANOTHER_PART] += 1
        elif origin not in asked.heard_from and origin != asked.place and self._killed_plainly(asked):
            self.residues["ok by a plain kill while a second copy is on a host that had not answered"] += 1
        else:
            self._break("false ok", text)

    def _killed_plainly(self, asked: Asked) -> bool:
        same = (each for each in self.asked if each.identity == asked.identity)
        if not any(each.request in self._killed for each in same):
            return False
        return asked.reason in (Reason.PROVEN_OFF.value, Reason.REBOOTED.value, Reason.REBOOTED_NOT_STARTED.value)

    def _wrong_proof(self, asked: Asked, writer: Writer) -> str:
        """What was said of that host's death, and was wrong; empty if it was not that (S13)."""
        host, daemon = self._sim.by_place.get(writer.host), self._sim.by_place[asked.place].daemon
        if host is None or daemon is None:
            return ""
        if not self._sim.world.is_up(writer.host):
            told = [each for each in daemon.ownership.known(asked.vm) if each.host == host.name]
            unheard = writer.hold is Hold.IMAGE and all(each.state is not VmState.SAVED for each in told)
            return SAVED_UNHEARD if unheard and not self._killed_plainly(asked) else ""
        if daemon.ownership.confirmations.standing(host.name) is not None:
            return CONFIRMED
        return SWITCHED_ON if host.fenced_off else ""

    def _is_outside(self, writer: Writer) -> bool:
        """On a machine that nobody's member list holds: it runs no daemon, or was never heard."""
        name = self._sim.name_of(writer.host)
        return not any(name in members for host, members in self._sim.memberships() if host != writer.host)

    def _is_in_another_part(self, asked: Asked, writer: Writer) -> bool:
        """Without a list of hosts, and when all that knew of each other have forgotten it: neither the coordinator nor
        anybody whom it can ask, nor whom they can, has that machine on its list.
        """
        if self._sim.configured or not any(each.kind is Kind.WIPE_ALL for each in self._sim.plan.happenings):
            return False
        lists: dict[HostId, set[HostId]] = {}
        for host, members in self._sim.memberships():
            lists.setdefault(self._sim.name_of(host), set()).update(members)
        reached, new = set[HostId](), {self._sim.name_of(asked.place)}
        while new:
            reached |= new
            new = {name for host in new for name in lists.get(host, ())} - reached
        return self._sim.name_of(writer.host) not in reached

    def _is_known(self, vm: Uuid) -> bool:
        """A machine that is a member has it, in whatever state."""
        members = {name for host, known in self._sim.memberships() for name in known if self._sim.name_of(host) != name}
        places = (host.place for host in self._sim.hosts if host.name in members and self._sim.world.is_up(host.place))
        return any(vm in self._sim.world.vms(place) for place in places)

    # -- the end ----------

    def close(self) -> None:
        """Whatever can be said only when all is over."""
        for asked in self.asked:
            if asked.answered_at is None:
                if self._sim.now > asked.deadline + ANSWERED_BY and self._sim.can_answer(asked):
                    self._break("no end", f"no answer to {asked}")
            elif asked.ok and asked.action.kills:
                self._nothing_came_back(asked)

    def _nothing_came_back(self, asked: Asked) -> None:
        for writer in self._old_writers(asked):
            if (asked.number, writer.life) not in self._told:
                self._false_ok(asked, writer)

    def _break(self, rule: str, text: str) -> None:
        self._sim.note(f"*** {rule}: {text}")
        self.violations.append(Violation(rule, self._sim.now, text))
