"""The released qpid-tool and qmf.console with our agents: what they make of what those say, and the other way round."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fencebus_agent.qmf_calls import CallRefused
from fencebus_schemas.model import VmState
from fencebus_schemas.qmf2_classes import DOMAIN_LIFECYCLE, NODE
from fencebus_schemas.qmf2_messages import Code
from tests.agent.qmf_company import Company, Recorder, show, vm
from tests.agent.qpid.program import HERE, Program, running
from tests.agent.qpid.released import Released, require_released

# The first of them installs what it is about.
pytestmark = pytest.mark.timeout(200)

AGENT = "fencebus:libvirt-qmf:hosta"


@pytest.fixture(scope="module")
def released() -> Released:
    return require_released()


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with Company() as made:
        yield made


async def test_qpid_tool_shows_agents_classes_and_vms_and_calls_their_methods(
    company: Company, released: Released
) -> None:
    handler = Recorder()
    agent = await company.agent(handler=handler, epoch=42)
    agent.put(NODE, "hosta", {"hostname": "hosta", "uri": "qemu:///system"})
    show(agent, vm(7), vm(8, state=VmState.OFF))
    async with running(released, company.broker, released.program("qpid-tool")) as tool:
        agents = await tool.until("agents", AGENT)
        assert "42" in agents
        # Those of which it has seen an object.
        assert "org.libvirt" in await tool.until("schema", "Node", "Domain", "FenceControl")
        domains = await tool.until("list Domain", vm(7).uuid, vm(8).uuid)
        number = next(line.split()[0] for line in domains.splitlines() if vm(7).uuid in line)
        shown = await tool.ask(f"show {number}")
        for word in ("vm7", "running", "hosta"):
            assert word in shown
        assert "ReadCreate" in await tool.ask("schema Domain")
        handler.result = {"description": "<domain>ü</domain>"}
        await tool.call(f"call {number} getXMLDesc", "OK (0) - {u'description': u'<domain>\\xfc</domain>'}")
        handler.error = CallRefused(Code.EXCEPTION, "not-proven: why")
        await tool.call(f"call {number} destroy", "not-proven: why (7)")
        show(agent, vm(8, state=VmState.OFF))
        await tool.until("list Domain active", vm(8).uuid, without=vm(7).uuid)
    assert [(call.method, call.user, call.target.values["name"]) for call in handler.calls] == [
        ("getXMLDesc", "console", "vm7"),
        ("destroy", "console", "vm7"),
    ]


async def said(program: Program) -> list[Any]:
    """The next line of JSON."""
    while not (text := await program.line()).startswith("["):
        assert "EXCEPTION" not in text
    found: list[Any] = json.loads(text)
    return found


async def test_a_program_on_qmf_console_reads_vms_calls_a_method_and_hears_events(
    company: Company, released: Released
) -> None:
    handler = Recorder()
    agent = await company.agent(handler=handler)
    show(agent, vm(7), vm(8, state=VmState.OFF))
    script = HERE / "objects.py2"
    async with running(released, company.broker, script, AGENT, "vm7", "destroy") as program:
        found = sorted([await said(program), await said(program)])
        assert [one[:4] for one in found] == [
            ["domain", "vm7", "running", vm(7).uuid],
            ["domain", "vm8", "shutoff", vm(8).uuid],
        ]
        assert await said(program) == ["result", 0, "OK", {}]
        values = {"uuid": vm(7).uuid, "name": "vm7", "event": "stopped", "detail": "ü", "host": "hosta"}
        agent.tell(DOMAIN_LIFECYCLE, values)
        assert await said(program) == ["event", "domainLifecycle", 6, values]
    assert [call.method for call in handler.calls] == ["destroy"]
