"""The page's source on a bus: hosts with their agents, and a console's picture turned into what a page shows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.qmf_console import ConsoleTerms
from fencebus_agent.qmf_picture import Picture
from fencebus_host.web.bus_source import BusSource
from fencebus_host.web.bus_view import BusMemory
from fencebus_schemas.model import Action
from fencebus_schemas.status import EventKind, HostState, Status
from tests.host_agent.federated_site import described
from tests.host_agent.qmf_faces import faces
from tests.hypervisors import eventually

VMS = {"a": [described(1)], "b": [described(2)]}


async def connected(source: BusSource) -> Status:
    for _ in range(800):
        with suppress(ConnectionError):
            return await source.status()
        await asyncio.sleep(0.05)
    raise AssertionError("no connection")


async def test_hosts_their_vms_and_fences_are_seen_from_anywhere_on_the_bus() -> None:
    async with faces(VMS) as show:
        source = BusSource(MemoryBus(show.broker, "page", "page"), ConsoleTerms(patience=1.0))
        task = asyncio.create_task(source.run())

        async def until(count: int) -> Status:
            status = await connected(source)
            for _ in range(800):
                if status.vms_known == 2 and len(status.finished) == count:
                    break
                await asyncio.sleep(0.05)
                status = await source.status()
            return status

        try:
            status = await until(0)
            assert [(host.name, host.state) for host in status.hosts] == [
                ("a", HostState.HEARD),
                ("b", HostState.HEARD),
            ]
            assert {vm.name: (vm.owner, vm.state) for vm in status.vms} == {
                "vm1": ("a", "running"),
                "vm2": ("b", "running"),
            }
            answer = await show.hosts["a"].ask(Action.OFF, "vm2")
            assert answer.outcome.ok
            fence = (await until(1)).finished[0]
            assert (fence.action, fence.ok, fence.reason) == ("off", True, "proven-off")
            async with asyncio.timeout(40):
                async for event in source.events():
                    if event.kind is EventKind.FENCE_FINISHED:
                        break
            await eventually(
                lambda: {each.name: each.state for each in source._viewer.view.vms.values()}["vm2"] == "off"
            )
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_a_host_that_the_console_forgets_stays_on_the_page_as_silent_with_its_vms() -> None:
    async with faces(VMS) as show:
        memory, picture = BusMemory(), show.console.picture
        await eventually(lambda: all(agent.synced for agent in picture.agents()))
        now = max(agent.heard_at for agent in picture.agents())
        before, _ = memory.look(picture, now)
        after, hosts = memory.look(Picture({}), now + 40.0)
        assert after == before
        assert {host.state for host in hosts} == {HostState.SILENT}
        assert all((host.heard_ago or 0) >= 40.0 for host in hosts)
        assert [replace(host, heard_ago=None).name for host in hosts] == ["a", "b"]
