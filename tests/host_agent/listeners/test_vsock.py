"""The vsock listener over Unix sockets in the place of AF_VSOCK: the CID comes from the test, all else is real.

No vsock connection is opened: on many test machines CID 2 is the hypervisor that runs them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fencebus_agent.guest_devices import GuestDevices, read_devices
from fencebus_agent.hypervisor import HypervisorUnreachable
from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.config.model import Group, VsockSettings
from fencebus_host.listeners.connection import Stream
from fencebus_host.listeners.stream import StreamListener
from fencebus_host.listeners.vsock import VsockWire, bound_socket, cid_of
from fencebus_host.policy import Policy
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Action, VmState
from tests.host_agent.listeners.house import HERE, NODE1, NODE2, SECRET, House, beside, open_house
from tests.protocol_client import Conversation, PeerClosed, Reply, signed

Cid = Callable[[], str]
VMS = (MemoryVm(NODE1, "node1", cid=3), MemoryVm(NODE2, "node2", cid=4))


@asynccontextmanager
async def vsock_house(folder: Path, cid: str, policy: Policy | None = None) -> AsyncIterator[tuple[House, Path]]:
    """A host whose vsock peers all have the CID ``cid``."""
    path = folder / "vsock"

    def unix_socket(_settings: VsockSettings) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        return listening

    async with open_house(folder, VMS, policy) as house:
        settings = VsockSettings(where=HERE, keys=tuple(house.keys))
        wire = VsockWire(settings, lambda: house.hypervisor.devices(Deadline.after(30)), unix_socket, lambda _: cid)
        opened = asyncio.Event()
        listener = StreamListener(settings.name, wire, house.reception())
        house.tasks.append(asyncio.create_task(listener.serve(house.service.handle, opened.set)))
        await asyncio.wait_for(opened.wait(), 30)
        yield house, path


def ask(path: Path, action: Action, target: str = "") -> Reply:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(30)
    peer.connect(str(path))
    with Conversation(peer, SECRET) as conversation:
        conversation.send(signed(SECRET, action, target))
        conversation.handshake()
        return conversation.reply()


async def test_a_guest_is_known_by_its_cid_and_fences_another(tmp_path: Path) -> None:
    async with vsock_house(tmp_path, "3") as (house, path):
        assert (await beside(ask, path, Action.OFF, "node2")).code == 0
        assert await house.state_of("node2") is VmState.OFF


@pytest.mark.parametrize("cid", ("99", ""))
async def test_a_cid_of_no_guest_of_this_host_is_refused_without_an_answer(
    tmp_path: Path, cid: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with vsock_house(tmp_path, cid) as (house, path):
        with pytest.raises(PeerClosed):
            await beside(ask, path, Action.OFF, "node2")
        assert await house.state_of("node2") is VmState.RUNNING
    assert "reason=unknown-guest" in caplog.text


@pytest.mark.parametrize(
    ("group", "code"),
    (
        (Group("by uuid", uuids=(NODE1, NODE2), ips=(), where=HERE), 0),
        (Group("by name", uuids=("node1", "node2"), ips=(), where=HERE), 0),
        (Group("by CID, as in C", uuids=("node2",), ips=("3",), where=HERE), 0),
        (Group("of others", uuids=("node2",), ips=("4",), where=HERE), 3),
    ),
)
async def test_groups_name_a_vsock_guest_by_uuid_name_or_cid(tmp_path: Path, group: Group, code: int) -> None:
    async with vsock_house(tmp_path, "3", Policy((group,))) as (_house, path):
        assert (await beside(ask, path, Action.OFF, "node2")).code == code


async def test_a_guest_that_is_off_has_no_cid(tmp_path: Path) -> None:
    async with vsock_house(tmp_path, "4") as (_house, path):
        assert (await beside(ask, path, Action.OFF, "node2")).code == 0
        with pytest.raises(PeerClosed):
            await beside(ask, path, Action.STATUS, "node1")


def source_of(devices: Callable[[], Awaitable[list[GuestDevices]]]) -> VsockWire:
    return VsockWire(VsockSettings(where=HERE, keys=(b"k",)), devices)


async def test_a_cid_that_two_guests_claim_belongs_to_neither() -> None:
    async def twins() -> list[GuestDevices]:
        return [GuestDevices(NODE1, "node1", cid=3), GuestDevices(NODE2, "node2", cid=3)]

    with pytest.raises(WireError, match="2 guests"):
        await source_of(twins).source("3")


async def test_a_cid_that_cannot_be_looked_up_is_refused() -> None:
    async def silent() -> list[GuestDevices]:
        raise HypervisorUnreachable("qemu:///system", "no answer")

    with pytest.raises(WireError, match="cannot be looked up"):
        await source_of(silent).source("3")


def test_the_live_xml_tells_the_cid() -> None:
    xml = "<domain><name>n</name><uuid>{}</uuid><devices><vsock model='virtio'>{}</vsock></devices></domain>"
    assert read_devices(xml.format(NODE1, "<cid auto='yes' address='7'/>")).cid == 7
    assert read_devices(xml.format(NODE1, "<cid auto='yes'/>")).cid is None


async def test_a_peer_that_has_left_has_no_cid() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours)
    assert cid_of(stream) == ""
    stream.close()
    theirs.close()


def test_a_kernel_without_vsock_is_an_error_that_the_supervisor_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    # No such family: the socket cannot even be made, as on a kernel without the module.
    monkeypatch.setattr(socket, "AF_VSOCK", 9999)
    with pytest.raises(OSError, match=r"."):
        bound_socket(VsockSettings(where=HERE, keys=(b"k",)))
