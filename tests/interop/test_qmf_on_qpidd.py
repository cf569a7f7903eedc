"""The released qpid-tool and qpid-printevents on a real qpidd, on which one of our agents is.

The first qpidd lets everybody in, the second one runs on what was rendered for it: TLS, passwords and rights.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fencebus_agent.bus import Bus
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_schemas.model import HostId, VmState
from fencebus_schemas.qmf2_classes import DOMAIN_LIFECYCLE
from tests.agent.qmf_company import Recorder, show, vm
from tests.agent.qpid.program import Program
from tests.agent.qpid.released import Released, require_released
from tests.hypervisors import soon
from tests.qpidd import OPERATOR, RenderedQpidd, rendered_qpidd, require_qpidd, running_qpidd

HOST = "host1"
AGENT = f"fencebus:libvirt-qmf:{HOST}"


def anybody(broker: str) -> Bus:
    """A client of one that asks nobody who they are."""
    return bus_at(f"amqp1://{broker}", BusTerms())


@contextlib.asynccontextmanager
async def agent_on(bus: Bus, handler: Recorder, trusted: str = "*") -> AsyncIterator[QmfAgent]:
    """The agent of a host; where the broker vouches for nobody it has to let everybody call."""
    agent = QmfAgent(bus, AgentTerms(HostId(HOST), 42, trusted=frozenset({trusted})), handler)
    tasks = [asyncio.create_task(part.run()) for part in (bus, agent)]
    try:
        await bus.wait_connected(soon())
        yield agent
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()


@contextlib.asynccontextmanager
async def released_program(released: Released, name: str, *arguments: str) -> AsyncIterator[Program]:
    """One of the released programs, as anybody starts it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        released.python, "-u", released.program(name), *arguments,
        stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=released.environment,
    )  # fmt: skip
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def number_of_vm7(tool: Program) -> str:
    """What the program calls it, once it shows both VMs."""
    await tool.ask()  # until it is ready
    await tool.until("agents", AGENT)
    domains = await tool.until("list Domain", vm(7).uuid, vm(8).uuid)
    return next(line.split()[0] for line in domains.splitlines() if vm(7).uuid in line)


def login(broker: RenderedQpidd, user: str) -> tuple[str, ...]:
    """How qpid-tool goes there as a user."""
    papers, (_, _, place) = broker.papers(user), broker.url(user).partition("@")
    files = ("--ssl-certificate", str(papers / f"{user}.pem"), "--ssl-key", str(papers / f"{user}.key"))
    return ("--sasl-mechanism", "PLAIN", *files, f"amqps://{user}/{broker.password(user)}@{place}")


async def test_qpid_tool_finds_shows_and_calls(tmp_path: Path) -> None:
    program, released, handler = require_qpidd(), require_released(), Recorder()
    with running_qpidd(program, tmp_path) as broker:
        async with agent_on(anybody(broker), handler) as agent, released_program(released, "qpid-tool", broker) as tool:
            show(agent, vm(7, HOST), vm(8, HOST, VmState.OFF))
            number = await number_of_vm7(tool)
            assert "running" in await tool.ask(f"show {number}")
            await tool.until("schema Domain", "ReadCreate")
            await tool.call(f"call {number} destroy", "OK (0)")
    assert [(call.method, call.target.values["name"]) for call in handler.calls] == [("destroy", "vm7")]


async def test_qpid_printevents_hears_what_happens(tmp_path: Path) -> None:
    program, released = require_qpidd(), require_released()
    with running_qpidd(program, tmp_path) as broker:
        async with (
            agent_on(anybody(broker), Recorder()) as agent,
            released_program(released, "qpid-printevents", broker) as heard,
        ):
            values = {"uuid": vm(7).uuid, "name": "vm7", "event": "stopped", "detail": "", "host": "hosta"}
            for _ in range(50):  # nobody says when it has begun to listen
                agent.tell(DOMAIN_LIFECYCLE, values)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        if "domainLifecycle" in await heard.line():
                            break
            else:
                raise AssertionError(heard.transcript)


async def test_on_rendered_settings_a_host_acts_for_a_user_of_qpid_tool_whom_it_trusts(
    tmp_path: Path,
) -> None:
    released, handler = require_released(), Recorder()
    with rendered_qpidd(tmp_path) as broker:
        async with (
            agent_on(broker.bus(HOST), handler, OPERATOR) as agent,
            released_program(released, "qpid-tool", *login(broker, OPERATOR)) as tool,
        ):
            show(agent, vm(7, HOST), vm(8, HOST, VmState.OFF))
            await tool.call(f"call {await number_of_vm7(tool)} destroy", "OK (0)")
    assert [call.method for call in handler.calls] == ["destroy"]
