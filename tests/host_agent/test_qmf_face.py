"""What a QMF console sees of hosts that know each other, and what becomes of its calls."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.qmf_calls import Call, CallRefused
from fencebus_agent.qmf_console import QmfConsole
from fencebus_host.config.model import Group
from fencebus_host.config.problems import Where
from fencebus_host.ports import Answer, Wanted
from fencebus_host.qmf_face_calls import FaceCalls
from fencebus_host.verdict import Evidence
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, Reason, VmState
from fencebus_schemas.qmf2_classes import CLASSES, FENCE_CONTROL, FENCE_RECORD
from fencebus_schemas.qmf2_data import Data, ObjectId
from fencebus_schemas.qmf2_messages import Code
from tests.host_agent.federated_site import described, fence_request, vm
from tests.host_agent.qmf_faces import Butler, Show, face, faces
from tests.hypervisors import eventually

CONTROL_A = ObjectId("fencebus:libvirt-qmf:hosta", "org.fencebus:FenceControl:hosta")
TWO = {"hosta": [described(1)], "hostb": [described(2), described(3, VmState.OFF)]}
TWO_HOSTS = {"vm1": ["hosta running"], "vm2": ["hostb running"], "vm3": ["hostb off"]}


async def fence(show: Show, target: str, action: str = "off", request_id: str = "") -> Map:
    """Call FenceControl.fence of host A."""
    arguments: Map = {"target": target, "action": action, "requestId": request_id, "timeout": 0}
    return await show.call(CONTROL_A, "fence", arguments)


async def test_each_vm_is_shown_by_the_host_that_has_it() -> None:
    async with faces(TWO) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        controls = show.console.picture.objects(FENCE_CONTROL.id)
        assert {(one.values["hostname"], one.values["router"]) for one in controls} == {
            ("hosta", "federated"),
            ("hostb", "federated"),
        }


async def test_destroy_is_a_fence_and_create_starts_it_again() -> None:
    async with faces(TWO) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        assert await show.call(show.domain("vm2").id, "destroy") == {}
        assert await show.hosts["hostb"].state(2) is VmState.OFF
        await eventually(lambda: show.domain("vm2").values.get("lastFenceResult") == "proven-off")
        assert show.domain("vm2").values["lastFenceBy"] == "qmf:console"
        assert await show.call(show.domain("vm2").id, "create") == {}
        assert await show.hosts["hostb"].state(2) is VmState.RUNNING
        await asyncio.sleep(0.5)  # what began a moment before the call is spared (S12)
        assert await show.call(show.domain("vm2").id, "reboot") == {}


async def test_one_host_is_told_to_fence_another_hosts_vm() -> None:
    async with faces(TWO) as show:
        assert await fence(show, "vm2") == {"ok": True, "reason": "proven-off", "text": ""}
        assert await show.hosts["hostb"].state(2) is VmState.OFF


async def test_the_same_request_id_gets_the_same_outcome_and_acts_once() -> None:
    async with faces(TWO) as show:
        stops: list[str] = []
        show.hosts["hostb"].hypervisor.subscribe(lambda event: stops.append(event.kind))
        first = await fence(show, "vm2", "reboot", "call 17")
        assert (first["ok"], first["reason"], stops.count("stopped")) == (True, "rebooted", 1)
        assert await fence(show, "vm2", "reboot", "call 17") == first
        assert stops.count("stopped") == 1
        again = await fence(show, "vm2", "reboot", "call 18")
        while again["reason"] == "younger-life":  # it began a moment before, or after for all its host knows
            again = await fence(show, "vm2", "reboot", f"call {uuid4()}")
        assert again["ok"]
        assert stops.count("stopped") == 2


async def test_a_fence_that_cannot_be_proven_is_told_as_a_failure() -> None:
    async with faces(TWO, patience=1.0) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        show.hosts["hostb"].hypervisor.faults(vm(2)).survives_kill = True
        with pytest.raises(CallRefused) as refused:
            await show.call(show.domain("vm2").id, "destroy")
        assert refused.value.code == Code.EXCEPTION
        assert refused.value.detail
        assert (await fence(show, "nobody"))["reason"] == "unknown-vm"


async def test_an_action_that_there_is_not_is_refused() -> None:
    async with faces(TWO) as show:
        with pytest.raises(CallRefused, match="action is one of off, reboot, on") as refused:
            await fence(show, "vm2", "explode")
        assert refused.value.code == Code.INVALID_PARAMETER


async def test_a_user_who_is_not_trusted_does_nothing() -> None:
    async with faces(TWO) as show:
        stranger = MemoryBus(show.broker, "stranger", "stranger")
        console = QmfConsole(stranger)
        tasks = [asyncio.create_task(part.run()) for part in (stranger, console)]
        try:
            await eventually(lambda: len(console.picture.objects(FENCE_CONTROL.id)) == 2)
            arguments: Map = {"target": "vm2", "action": "off", "requestId": "", "timeout": 0}
            with pytest.raises(CallRefused, match="user stranger is not trusted here") as refused:
                await console.call(CONTROL_A, "fence", arguments, Deadline.after(30))
            assert refused.value.code == Code.FORBIDDEN
            assert await show.hosts["hostb"].state(2) is VmState.RUNNING
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_policy_holds_for_trusted_users_too() -> None:
    where = Where("fence_virt.conf", 1)
    groups = {host: [Group("some", ("vm2",), ("qmf:console",), where)] for host in TWO}
    butler = Butler(vm(1))
    async with faces(TWO, groups=groups, butlers=[butler]) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        assert (await fence(show, "vm2"))["ok"] is True
        assert (await fence(show, "vm1"))["reason"] == Reason.DENIED.value
        for method in ("destroy", "suspend", "getXMLDesc"):
            with pytest.raises(CallRefused, match="denied") as refused:
                await show.call(show.domain("vm1").id, method)
            assert refused.value.code == Code.FORBIDDEN
        assert butler.done == []
        assert await show.hosts["hosta"].state(1) is VmState.RUNNING


async def test_courtesies_are_asked_of_the_hypervisor_that_has_the_vm() -> None:
    others, butler = Butler(vm(99)), Butler(vm(1))
    async with faces(TWO, butlers=[others, butler]) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        target = show.domain("vm1").id
        for method in ("shutdown", "suspend", "resume"):
            assert await show.call(target, method) == {}
        assert await show.call(target, "getXMLDesc") == {"description": "<domain/>"}
        assert [what for what, _ in butler.done] == ["shut_down", "suspend", "resume", "definition"]
        assert others.done == []
        with pytest.raises(CallRefused, match="not on this host any more"):
            await show.call(show.domain("vm2").id, "suspend")


async def test_a_courtesy_that_fails_is_told_as_a_failure() -> None:
    butler = Butler(vm(1), error=HypervisorError("memory", "vm1 is not plainly paused"))
    async with faces(TWO, butlers=[butler]) as show:
        await eventually(lambda: show.domains() == TWO_HOSTS)
        with pytest.raises(CallRefused, match="memory: vm1 is not plainly paused") as refused:
            await show.call(show.domain("vm1").id, "resume")
        assert refused.value.code == Code.EXCEPTION


async def test_a_host_whose_hypervisor_does_not_answer_says_so() -> None:
    async with faces(TWO, patience=0.5) as show:
        show.hosts["hosta"].hypervisor.unreachable = True
        with pytest.raises(CallRefused, match="no answer until the deadline"):
            await show.call(CONTROL_A, "status", {"target": "vm1"})


async def test_a_vm_of_which_nobody_can_say_whether_it_is_off_is_unknown() -> None:
    async def undecided(request: FenceRequest, wanted: Wanted) -> Answer:
        return Answer(FenceOutcome(request.id, False, Reason.NOT_PROVEN))

    async def nothing_found(target: str, deadline: Deadline) -> Evidence:
        return Evidence(())

    async with faces({"hosta": [described(1)]}) as show:
        chronicle = show.faces["hosta"]._chronicle
        control = next(iter(show.console.picture.objects(FENCE_CONTROL.id)))
        calls = FaceCalls(undecided, nothing_found, [], chronicle, 5.0)
        call = Call(control, "status", {"target": "vm1"}, "console", "1")
        assert await calls.call(call, Deadline.after(30)) == {"state": "unknown", "ownerHost": ""}


async def test_every_method_of_the_classes_is_carried_out_by_somebody() -> None:
    async with faces({"hosta": [described(1)]}) as show:
        methods = show.faces["hosta"]._calls._methods
        described_ones = {(one.id.class_name, method.name) for one in CLASSES for method in one.methods}
        assert set(methods) == described_ones


async def test_it_ends_when_the_bus_is_closed() -> None:
    async with faces({"hosta": [described(1)]}) as show:
        again = asyncio.create_task(face(show.hosts["hosta"]).run())
        await asyncio.sleep(0.1)
        await show.hosts["hosta"].bus.close()
        show.hosts["hosta"].hypervisor.happen(vm(1), VmState.PAUSED)  # there is something to say
        done, _ = await asyncio.wait([again], timeout=30)
        assert done
        await again


async def test_status_says_where_a_vm_is() -> None:
    async with faces(TWO) as show:
        assert await show.call(CONTROL_A, "status", {"target": "vm2"}) == {"state": "running", "ownerHost": "hostb"}
        assert await show.call(CONTROL_A, "status", {"target": "vm3"}) == {"state": "off", "ownerHost": ""}
        with pytest.raises(CallRefused) as refused:
            await show.call(CONTROL_A, "status", {"target": "nobody"})
        assert refused.value.code == Code.UNKNOWN_OBJECT


async def test_what_guests_ask_for_is_told_counted_and_kept() -> None:
    async with faces(TWO) as show:
        service = show.hosts["hosta"].service
        good = await service.handle(fence_request(Action.OFF, "vm2"), lambda: True)
        bad = await service.handle(fence_request(Action.OFF, "nobody"), lambda: True)
        await service.handle(fence_request(Action.STATUS, "vm1"), lambda: True)
        assert (good.outcome.ok, bad.outcome.ok) == (True, False)
        await eventually(lambda: len(show.told("fenceCompleted")) == 2)
        assert [(host, one["target"], one["source"]) for host, one in show.told("fenceRequested")] == [
            ("hosta", "vm2", "192.0.2.1"),
            ("hosta", "nobody", "192.0.2.1"),
        ]
        assert [(one["ok"], one["reason"]) for _, one in show.told("fenceCompleted")] == [
            (True, "proven-off"),
            (False, "unknown-vm"),
        ]
        history = await show.call(CONTROL_A, "history", {"target": "", "most": 10})
        records = history["records"]
        assert isinstance(records, list)
        assert [one["target"] for one in records] == ["nobody", "vm2"]
        await eventually(lambda: len(show.console.picture.objects(FENCE_RECORD.id)) == 2)

        def control() -> Data:
            return next(one for one in show.console.picture.objects(FENCE_CONTROL.id) if one.id == CONTROL_A)

        await eventually(lambda: control().values["requestsTotal"] == 2)
        assert control().values["requestsFailed"] == 1
        assert str(control().values["lastError"]).startswith("unknown-vm")


async def test_a_vm_that_comes_to_another_host_is_shown_there_alone_and_its_new_host_says_so() -> None:
    vms = {"hosta": [described(1)], "hostb": [described(1, VmState.OFF)]}
    async with faces(vms) as show:
        await eventually(lambda: show.domains() == {"vm1": ["hosta running"]})
        show.hosts["hosta"].hypervisor.happen(vm(1), VmState.OFF)
        await eventually(lambda: show.domains() == {"vm1": ["hosta off"]})
        show.hosts["hostb"].hypervisor.happen(vm(1), VmState.RUNNING)
        await eventually(lambda: show.domains() == {"vm1": ["hostb running"]})
        await eventually(lambda: bool(show.told("ownershipChanged")))
        assert show.told("ownershipChanged") == [
            ("hostb", {"uuid": vm(1), "name": "vm1", "oldHost": "hosta", "newHost": "hostb"})
        ]


async def test_two_hosts_that_claim_one_vm_are_seen_as_a_conflict() -> None:
    vms = {"hosta": [described(1)], "hostb": [described(1)]}
    async with faces(vms) as show:
        await eventually(lambda: show.domains() == {"vm1": ["hosta running", "hostb running"]})
        assert list(show.console.picture.conflicts()) == [vm(1)]
