"""Old consoles' steps, each with what it would stumble over, against our agents on one bus."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import pytest

from fencebus_agent.qmf_calls import CallRefused
from fencebus_schemas.model import VmState
from fencebus_schemas.qmf2_classes import DOMAIN_LIFECYCLE
from fencebus_schemas.qmf2_messages import Code
from tests.agent.old_consoles import OldDaemon, QpidTool
from tests.agent.qmf_company import Company, Recorder, show, vm
from tests.hypervisors import eventually


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with Company() as made:
        yield made


async def test_qpid_tool_lists_the_vms_of_three_hosts_and_can_show_each(company: Company) -> None:
    tool = QpidTool((await company.listener()).bus)
    for number, host in enumerate(("hosta", "hostb", "hostc")):
        agent = await company.agent(host)
        await eventually(functools.partial(tool.knows, str(agent.name)))
        show(agent, *(vm(10 * number + one, host) for one in range(5)))
    await eventually(lambda: len(tool.listed("org.libvirt", "Domain")) == 15)
    owners = [values["ownerHost"] for values in tool.listed("org.libvirt", "Domain").values()]
    assert sorted(set(map(str, owners))) == ["hosta", "hostb", "hostc"]


async def test_qpid_tool_sees_a_vm_go_and_an_event(company: Company) -> None:
    tool = QpidTool((await company.listener()).bus)
    agent = await company.agent()
    await eventually(lambda: bool(tool.agents))
    show(agent, vm(1), vm(2))
    await eventually(lambda: len(tool.listed("org.libvirt", "Domain")) == 2)
    show(agent, vm(1))
    agent.tell(
        DOMAIN_LIFECYCLE, {"uuid": vm(2).uuid, "name": "vm2", "event": "undefined", "detail": "", "host": "hosta"}
    )
    await eventually(lambda: len(tool.listed("org.libvirt", "Domain")) == 1 and len(tool.events) == 1)


async def test_an_old_daemon_fences_the_vm_on_the_host_that_has_it(company: Company) -> None:
    handlers = {host: Recorder() for host in ("hosta", "hostb")}
    for host, handler in handlers.items():
        # Both know of all VMs; each shows its own.
        show(await company.agent(host, handler), vm(1, "hosta"), vm(2, "hostb"))
    daemon = OldDaemon((await company.listener()).bus)
    agents = await daemon.agents(2)
    assert await daemon.fence(vm(2).uuid, "off", agents) == 0
    assert await daemon.fence("vm1", "off", agents) == 0
    calls = {host: [(call.method, call.target.values["name"]) for call in one.calls] for host, one in handlers.items()}
    assert calls == {"hosta": [("destroy", "vm1")], "hostb": [("destroy", "vm2")]}


@pytest.mark.parametrize("state", [one for one in VmState if one is not VmState.OFF])
async def test_an_old_daemon_kills_whatever_may_live(company: Company, state: VmState) -> None:
    handler = Recorder()
    show(await company.agent(handler=handler), vm(1, state=state))
    daemon = OldDaemon((await company.listener()).bus)
    assert await daemon.fence("vm1", "off", await daemon.agents(1)) == 0
    assert [call.method for call in handler.calls] == ["destroy"]


async def test_an_old_daemon_starts_what_is_off_and_kills_it_not_again(company: Company) -> None:
    handler = Recorder()
    show(await company.agent(handler=handler), vm(1, state=VmState.OFF))
    daemon = OldDaemon((await company.listener()).bus)
    agents = await daemon.agents(1)
    assert await daemon.fence("vm1", "off", agents) == 0
    assert await daemon.fence("vm1", "on", agents) == 0
    assert [call.method for call in handler.calls] == ["create"]


async def test_an_old_daemon_hears_the_code_of_a_fence_that_failed_and_lives_on(company: Company) -> None:
    handler = Recorder(error=CallRefused(Code.USER + 38, "the process does not end"))
    show(await company.agent(handler=handler), vm(1))
    daemon = OldDaemon((await company.listener()).bus)
    agents = await daemon.agents(1)
    assert await daemon.fence("vm1", "off", agents) == 0x10000 + 38
    assert await daemon.fence("nobody", "off", agents) == 1
    assert await daemon.fence("VM1", "off", agents) == 1


async def test_an_old_daemon_that_nobody_vouches_for_is_forbidden_to_kill(company: Company) -> None:
    handler = Recorder()
    show(await company.agent(handler=handler), vm(1))
    daemon = OldDaemon((await company.listener("stranger")).bus)
    assert await daemon.fence("vm1", "off", await daemon.agents(1)) == Code.FORBIDDEN
    assert handler.calls == []


async def test_one_host_without_vms_does_not_hide_those_of_the_others(company: Company) -> None:
    handler = Recorder()
    await company.agent("hosta")
    show(await company.agent("hostb", handler), vm(2, "hostb"))
    daemon = OldDaemon((await company.listener()).bus)
    assert await daemon.fence("vm2", "off", await daemon.agents(2)) == 0
    assert len(handler.calls) == 1


async def test_a_host_with_many_vms_is_read_to_the_end(company: Company) -> None:
    handler = Recorder()
    show(await company.agent(handler=handler), *(vm(number) for number in range(130)))
    daemon = OldDaemon((await company.listener()).bus)
    assert await daemon.fence("vm129", "off", await daemon.agents(1)) == 0
    assert [call.target.values["name"] for call in handler.calls] == ["vm129"]
