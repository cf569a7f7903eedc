"""The agent alone: what consoles see, what they may do (nothing), how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fencebus_agent import __main__ as program
from fencebus_agent.agentd import LoneAgent
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_console import QmfConsole
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Uuid, VmState
from fencebus_schemas.qmf2_classes import DOMAIN
from fencebus_schemas.qmf2_messages import Code
from tests.hypervisors import INCARNATION, eventually
from tests.rabbitmq import RabbitMq
from tests.server_process import ServerProcess

HOST = HostId("hosta")
VM, OTHER = Uuid("00000001-1111-1111-1111-111111111111"), Uuid("00000002-1111-1111-1111-111111111111")
WORLD = """<node><domain type='test'><name>{name}</name><uuid>{vm}</uuid><memory>16384</memory>
<os><type>hvm</type></os></domain></node>"""


@contextlib.asynccontextmanager
async def running(*parts: LoneAgent | QmfConsole | MemoryBus) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def states(console: QmfConsole) -> dict[str, str]:
    return {str(one.values["name"]): str(one.values["state"]) for one in console.picture.objects(DOMAIN.id)}


async def test_it_shows_what_lives_here_and_is_commanded_by_nobody() -> None:
    broker = MemoryBroker()
    hypervisor = MemoryHypervisor(HOST, INCARNATION, [MemoryVm(VM, "vm1"), MemoryVm(OTHER, "vm2", VmState.OFF)])
    agent = LoneAgent(AgentTerms(HOST, 1), MemoryBus(broker, "hosta", "hosta"), hypervisor)
    bus = MemoryBus(broker, "console", "console")
    console = QmfConsole(bus)
    async with running(agent, bus, console):
        await eventually(lambda: states(console) == {"vm1": "running"})
        (shown,) = console.picture.objects(DOMAIN.id)
        for method in ("destroy", "create", "shutdown", "getXMLDesc"):
            with pytest.raises(CallRefused) as refused:
                await console.call(shown.id, method, {}, Deadline.after(30))
            assert refused.value.code == Code.FORBIDDEN
        found = await hypervisor.find(VM, Deadline.after(30))
        assert found is not None
        assert found.state is VmState.RUNNING
        hypervisor.happen(VM, VmState.OFF)
        await eventually(lambda: states(console) == {})


def test_its_words_come_before_any_library_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--help"]) == 0
    assert "a QMF agent that nobody can command" in " ".join(capsys.readouterr().out.split())
    assert program.main([]) == 2
    assert capsys.readouterr().err.startswith("fencebus-agentd: no bus")


def test_it_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "find_spec", lambda _name: None)
    assert program.main(["-b", "amqp://localhost"]) == 1
    assert "not installed: libvirt" in capsys.readouterr().err


@pytest.mark.xdist_group("rabbitmq")
async def test_as_a_process_it_comes_to_a_real_broker_and_ends_by_a_signal(rabbitmq: RabbitMq, tmp_path: Path) -> None:
    name = f"agentd-{os.getpid()}"
    world = tmp_path / "world.xml"
    world.write_text(WORLD.format(name=name, vm=VM))
    argv = [sys.executable, "-m", "fencebus_agent", "-u", f"test://{world}", "-n", name, "-s", str(tmp_path)]
    bus = bus_at(rabbitmq.url("b"), BusTerms())
    console = QmfConsole(bus)
    tasks = [asyncio.create_task(part.run()) for part in (bus, console)]
    try:
        with ServerProcess(argv, tmp_path / "log", {"FENCEBUS_BUS": rabbitmq.url("a")}) as process:
            await eventually(lambda: states(console).get(name) == "running", 40.0)
            assert (tmp_path / "qmf-epoch").read_text() == "1\n"
            assert await asyncio.to_thread(process.stop, signal.SIGTERM) == 0
            assert f"agent fencebus:libvirt-qmf:{name} is on amqp://a@127.0.0.1" in process.output
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()
