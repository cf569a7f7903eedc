"""What hosts say to each other of a rehearsal: everybody is asked, nobody waits for the silent, nothing is done."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from fencebus_agent.memory_driver import MemoryHypervisor
from fencebus_host.routers.federated.rehearsals import MOST_AT_ONCE, Rehearsals
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, HostId, Incarnation, Reason, RequestId, Source, VmState
from fencebus_schemas.peer import EVERYONE, Fetch, Message, Rehearse, Rehearsed
from tests.host_agent.federated_site import described, fence_request, vm
from tests.hypervisors import eventually

A, B = HostId("a"), HostId("b")
VM = vm(1)


def incarnation(host: str) -> Incarnation:
    return Incarnation(f"boot of {host}", f"machine of {host}", "1")


class Line:
    """A carrier that gives what is sent to whoever is at its other end."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.sent: list[Message] = []
        self.ends: list[Rehearsals] = []

    async def run(self, *_: object) -> None:
        """Nothing."""

    def send(self, message: Message) -> None:
        """Now."""
        self.sent.append(message)
        for end in self.ends:
            end.takes(message)


def host(name: HostId, line: Line, permits: bool = True) -> Rehearsals:
    hypervisor = MemoryHypervisor(name, incarnation(name), [described(1)] if name == B else [])
    return Rehearsals(name, incarnation(name), hypervisor, line, lambda _order: permits, boottime)


async def asked(one: Rehearsals, awaited: Collection[HostId], seconds: float = 30.0) -> Mapping[HostId, Rehearsed]:
    return await one.ask(fence_request(Action.OFF, "vm1"), VM, None, awaited, Deadline.after(seconds))


async def test_every_host_says_what_it_sees_and_whether_it_would_obey() -> None:
    there, back = Line(), Line()
    one, other = host(A, there), host(B, back, permits=False)
    there.ends, back.ends = [other], [one]
    said = await asked(one, [A, B])
    assert {name: (word.sight.state, word.refusal) for name, word in said.items()} == {
        A: (VmState.OFF, None),
        B: (VmState.RUNNING, Reason.DENIED),
    }
    assert [type(message) for message in (*there.sent, *back.sent)] == [Rehearse, Rehearsed]


async def test_who_does_not_answer_is_missing_and_an_answer_that_comes_too_late_is_nothing() -> None:
    line = Line()
    one = host(A, line)
    assert set(await asked(one, [A, B], 0.05)) == {A}
    (question,) = line.sent
    assert isinstance(question, Rehearse)
    late = Rehearsed(B, incarnation(B), A, question.request, (await asked(one, [A]))[A].sight)
    assert one.takes(late)


async def test_what_is_no_rehearsal_is_left_to_others_and_an_echo_is_not_answered() -> None:
    line = Line()
    one = host(A, line)
    assert not one.takes(Fetch(B, incarnation(B), A))
    assert one.takes(question(A))
    await asyncio.sleep(0)
    assert line.sent == []


async def test_a_flood_of_questions_is_not_answered_beyond_what_hinders_no_fence() -> None:
    line = Line()
    one = host(A, line)
    for _ in range(3 * MOST_AT_ONCE):
        assert one.takes(question(B))
    await eventually(lambda: len(line.sent) >= MOST_AT_ONCE)
    assert len(line.sent) == MOST_AT_ONCE
    one.takes(question(B))
    await eventually(lambda: len(line.sent) > MOST_AT_ONCE)


def question(sender: HostId) -> Rehearse:
    return Rehearse(sender, incarnation(sender), EVERYONE, RequestId("1"), VM, Source("host"), None, VM, "control")
