"""What the desk of one host tells of several, and what its rehearsals find where one of them is silent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorUnreachable
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryVm
from fencebus_host import control_acts
from fencebus_host.control import Declined, Question
from fencebus_host.control_acts import HOST, Acts
from fencebus_host.control_desk import Desk, Sources
from fencebus_host.control_events import Events
from fencebus_host.control_history import Wanted
from fencebus_host.control_members import members_of
from fencebus_host.control_pause import Pause
from fencebus_host.control_requests import Requests
from fencebus_host.control_routers import router_status
from fencebus_host.control_select import Selection
from fencebus_host.control_watch import AskingEyes, PictureEyes, Seen, Watch
from fencebus_host.ownership import SILENT_AFTER, Ownership, Past
from fencebus_host.policy import Policy
from fencebus_host.routers.federated import rehearsals
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import Action, HostId, Incarnation, VmState
from fencebus_schemas.peer import EVERYONE, Announce
from fencebus_schemas.status import EventKind, FinishedFence, Health, HostState, Rehearsal, RouterStatus
from fencebus_schemas.status_plain import from_plain
from tests.host_agent.evidence import HERE, VM
from tests.host_agent.federated_site import Host, Terms, described, site
from tests.host_agent.house import House, group, memory_hypervisor, opened

A, B, C = HostId("a"), HostId("b"), HostId("c")


def incarnation(name: str, machine: str = "") -> Incarnation:
    return Incarnation(f"boot-of-{name}", machine or f"machine-{name}", f"nonce-{name}")


def test_members_are_here_heard_silent_unheard_or_two() -> None:
    ownership = Ownership(A, incarnation("a"), past=Past((A, B, C, HostId("d"))))
    for machine in ("", "other"):
        ownership.announce_heard(Announce(C, incarnation("c", machine), EVERYONE, 0, "", "", "t"), 100.0)
    ownership.announce_heard(Announce(B, incarnation("b"), EVERYONE, 0, "", "", "t"), 100.0)

    def states(now: float) -> list[HostState]:
        return [member.state for member in members_of(ownership, A, now)]

    assert states(101.0) == [HostState.HERE, HostState.HEARD, HostState.CONFLICT, HostState.UNHEARD]
    assert states(101.0 + SILENT_AFTER)[1] is HostState.SILENT
    assert members_of(ownership, A, 103.0)[1].heard_ago == 3.0
    assert members_of(ownership, A, 103.0)[1].incarnation == "boot-of-.nonce-b"


def desk_of(host: Host, folder: Path, seconds_ahead: float = 0.0) -> tuple[Desk, Acts, Watch]:
    """The desk of one host of a site, whose view is as it will be some seconds from now."""
    events = Events(lambda: 1e9)
    watch = Watch(PictureEyes(host.name, host.router.ownership, lambda: boottime() + seconds_ahead), events)
    pause = Pause(folder)
    acts = Acts(host.service, host.router, pause, events, lambda: watch.view, host.router)
    no_text: str | None = None
    sources = Sources(
        host=host.name,
        incarnation="",
        router="federated",
        file=lambda: no_text,
        config=lambda: "text",
        parts=lambda: (),
        watch=watch,
        requests=Requests(events),
        events=events,
        chronicle=Nothing(),
        pause=pause,
        routers=lambda: (router_status(host.router, host.name, 7, lambda: boottime() + seconds_ahead),),
    )
    return Desk(sources, acts, {}), acts, watch


async def test_a_rehearsal_sees_what_is_so_now_and_not_what_was_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        _, acts, watch = desk_of(hosts["a"], tmp_path)
        await watch.look()
        monkeypatch.setattr(rehearsals, "LOOK_SECONDS", 0.05)
        hosts["b"].hypervisor.unreachable = True
        told = steps(await acts.rehearse(about("vm2")))
        assert told["host"][0] is False
        assert told["host"][1].startswith("b, asked now: it is unknown there: ")
        assert told["plan"] == (False, "nobody can say where it runs")
        await hosts["b"].stop()
        monkeypatch.setattr(control_acts, "REHEARSAL_SECONDS", 0.5)
        assert "not needed for a plain kill" in steps(await acts.rehearse(about("vm1")))["hosts"][1]
        told = steps(await acts.rehearse(about("vm2")))
        assert told["hosts"] == (
            False,
            "no answer: b; its denial, or a proof that it is dead, would be needed (S2, S13)",
        )
        assert told["plan"][0] is False


async def test_the_owners_own_groups_are_asked_in_a_rehearsal(tmp_path: Path) -> None:
    groups = {"b": [group("nobody")]}
    async with site({"a": [described(1)], "b": [described(2)]}, groups=groups) as (_, hosts):
        _, acts, _ = desk_of(hosts["a"], tmp_path)
        assert steps(await acts.rehearse(about("vm2")))["host"][0], "root of a host may end every VM"
        told = steps(await acts.rehearse(about("vm2", **{"from": "vm1"})))
        assert told["host"] == (False, "b, asked now: it is running there; it would refuse: denied (S6)")


async def test_a_router_tells_of_a_bus_that_is_not_there_and_of_hosts_that_it_has_not_read() -> None:
    broker = MemoryBroker()
    broker.up = False
    lonely = Host(A, [], Terms(Policy(None), frozenset((A, B)), None), lambda name: MemoryBus(broker, name))
    await lonely.start()
    try:
        told = router_status(lonely.router, A)
        assert told == RouterStatus("federated", 2, 1, False, None, None, lonely.bus.name, False)
    finally:
        await lonely.stop()


async def test_a_carrier_that_knows_no_more_than_its_trouble_is_connected_as_long_as_it_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site({"a": [described(1)]}) as (_, hosts):
        router = hosts["a"].router
        for trouble in (None, "the wire is cut"):
            monkeypatch.setattr(router, "carrier", Wire(trouble))
            told = router_status(router, A)
            assert (told.bus, told.connected) == ("", trouble is None)


class Wire:
    """A carrier that says only what every carrier says."""

    def __init__(self, trouble: str | None) -> None:
        self.trouble = trouble


class Nothing:
    """A chronicle without an entry."""

    async def finished(self, wanted: Wanted) -> tuple[FinishedFence, ...]:
        """None."""
        return ()

    async def course(self, request: str) -> None:
        """None."""


def steps(told: object) -> dict[str, tuple[bool, str]]:
    return {step.name: (step.ok, step.text) for step in from_plain(Rehearsal, told).steps}


def about(vm: str, **more: object) -> Question:
    return Question("rehearse", {"vm": vm, **more}, "uid 0")


async def test_one_host_tells_of_all_and_a_rehearsal_names_the_silent_one_that_is_needed(tmp_path: Path) -> None:
    off = described(3, VmState.OFF)
    async with site({"a": [described(1), off], "b": [described(2)]}) as (_, hosts):
        desk, acts, watch = desk_of(hosts["a"], tmp_path)
        await watch.look()
        found = await desk.status(Selection())
        assert [(vm.name, vm.owner) for vm in found.vms] == [("vm1", "a"), ("vm2", "b"), ("vm3", None)]
        assert [host.state for host in found.hosts] == [HostState.HERE, HostState.HEARD]
        assert found.health is Health.OK
        well = RouterStatus("federated", 2, 2, True, None, 7, hosts["a"].bus.name, True)
        assert found.routers == (well,)
        told = steps(await acts.rehearse(about("vm2")))
        assert told["host"] == (True, "b, asked now: it is running there")
        assert told["plan"] == (True, "it would be ended and its end proven by b")
        assert await hosts["b"].state(2) is VmState.RUNNING
        told = steps(await acts.rehearse(about("vm3")))
        assert told["hosts"] == (True, "asked now, no life of it there: a, b")
        assert told["plan"] == (True, "it is off: nothing would be ended")
        assert "would be started" in steps(await acts.rehearse(about("vm3", action="on")))["plan"][1]

        desk, _, watch = desk_of(hosts["a"], tmp_path, seconds_ahead=2 * SILENT_AFTER)
        await watch.look()
        found = await desk.status(Selection(problems=True))
        assert [vm.name for vm in found.vms] == ["vm2"]
        assert [problem.code for problem in found.problems] == ["host-silent"]
        assert found.routers == (replace(well, heard=1),)
        with pytest.raises(Declined, match="no power action has the id"):
            await desk.answers.once["explain"](Question("explain", {"about": "vm1"}))


# -- one host ----------


def acts_of(house: House, folder: Path) -> tuple[Acts, Pause, Events]:
    events = Events(lambda: 1e9)
    pause = Pause(folder / "pause")
    watch = Watch(AskingEyes(HERE, house.router), events)
    return Acts(house.service, house.router, pause, events, lambda: watch.view), pause, events


async def test_a_guest_that_no_group_lets_and_a_vm_nobody_can_place_are_found_in_a_rehearsal(tmp_path: Path) -> None:
    hypervisor = memory_hypervisor(MemoryVm(VM, "vm"))
    async with opened(tmp_path, hypervisor) as house:
        house.service.reconfigure(Policy([group("nobody")]))
        acts, _, _ = acts_of(house, tmp_path)
        told = steps(await acts.rehearse(about("vm", **{"from": "vm"})))
        assert told["policy"][0] is False
        assert "plan" not in told
        assert steps(await acts.rehearse(about("vm")))["policy"] == (True, "allowed")
        hypervisor.happen(VM, VmState.UNKNOWN)
        assert steps(await acts.rehearse(about("vm")))["plan"] == (False, "nobody can say where it runs")
        with pytest.raises(Declined, match="0 VMs"):
            await acts.rehearse(about("vm", **{"from": "ghost"}))
        with pytest.raises(Declined, match="one of off, reboot, on"):
            await acts.rehearse(about("vm", action="list"))


async def test_a_hypervisor_that_does_not_answer_is_found_in_a_rehearsal(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> None:
        raise HypervisorUnreachable("memory:///", "no connection")

    monkeypatch.setattr(house.router, "find", silent)
    acts, _, _ = acts_of(house, tmp_path)
    told = steps(await acts.rehearse(about("vm")))
    assert told["target"] == (False, "memory:///: no connection")


async def test_an_administrators_fence_goes_past_the_groups_and_is_told_with_what_was_seen(
    house: House, tmp_path: Path
) -> None:
    house.service.reconfigure(Policy([group("nobody")]))
    acts, _, _ = acts_of(house, tmp_path)
    found = from_plain(FinishedFence, await acts.fence(Question("fence", {"vm": "vm"})))
    assert (found.ok, found.source, found.via) == (True, HOST.text, "control")
    assert [(seen.was, seen.state, bool(seen.life)) for seen in found.observations] == [("running", "off", True)]
    assert (await house.ask(Action.ON, "vm")).outcome.reason.value == "denied"


async def test_a_pause_is_an_event_and_a_disk_that_takes_none_is_said(house: House, tmp_path: Path) -> None:
    acts, pause, events = acts_of(house, tmp_path)
    await acts.pause(Question("pause", {"why": "x", "seconds": 60}, "uid 0"))
    await acts.resume(Question("resume", {}, "uid 0"))
    assert [event.kind for event in events.last(2)] == [EventKind.PAUSED, EventKind.RESUMED]
    with pytest.raises(Declined, match="not paused"):
        await acts.resume(Question("resume"))
    (tmp_path / "pause").rmdir()
    (tmp_path / "pause").write_text("no folder")
    with pytest.raises(Declined, match="cannot be written down"):
        await acts.pause(Question("pause"))
    assert pause.current is None


class Eyes:
    """Sees what a test says, or nothing."""

    pause = 60.0

    def __init__(self) -> None:
        self.looks = 0
        self.blind = True

    async def look(self) -> Seen:
        """Count it."""
        self.looks += 1
        if self.blind:
            raise HypervisorUnreachable("x", "no connection")
        return Seen((), ())


async def test_a_view_that_could_not_be_had_is_tried_again_soon_and_an_event_brings_the_next() -> None:
    eyes, events = Eyes(), Events(lambda: 1e9)
    watch = Watch(eyes, events)
    running = asyncio.create_task(watch.run())
    try:
        assert await watch.fresh(0.05) == watch.view
        eyes.blind = False
        await watch.fresh(30)
        seen = eyes.looks
        assert seen >= 2
        watch.changed(DomainEvent(VM, "stopped"))
        await watch.fresh(30)
        assert eyes.looks > seen
    finally:
        running.cancel()
        await asyncio.wait({running})
