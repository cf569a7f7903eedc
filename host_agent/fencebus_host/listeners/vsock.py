"""The vsock socket of a stream listener: its peers are guests of this host, known by their context id (CID).

Wire: facts, fence-virt 2.5.  The hypervisor vouches for the CID, so the source is known, not claimed.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import HypervisorError
from fencebus_host.config.model import VsockSettings
from fencebus_host.listeners.connection import Stream
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Source

OpenSocket = Callable[[VsockSettings], socket.socket]


def bound_socket(settings: VsockSettings) -> socket.socket:
    """A vsock socket on every CID that this host has; raises OSError where the kernel has no vsock."""
    listening = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        listening.bind((socket.VMADDR_CID_ANY, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


def cid_of(stream: Stream) -> str:
    """The peer's CID in decimal, as C's ``groups`` spell it; empty if it has left already."""
    peer = stream.peername
    return str(peer[0]) if peer else ""


@dataclass(frozen=True, slots=True)
class VsockWire:
    """Implements ``stream.Wire``."""

    settings: VsockSettings
    devices: Callable[[], Awaitable[Sequence[GuestDevices]]]
    open_socket: OpenSocket = bound_socket
    cid_of: Callable[[Stream], str] = cid_of

    def __str__(self) -> str:
        return f"vsock port {self.settings.port}"

    async def open(self) -> Sequence[socket.socket]:
        """Bind; raises OSError."""
        return [self.open_socket(self.settings)]

    def peer(self, stream: Stream) -> str:
        """The CID."""
        return self.cid_of(stream)

    async def source(self, peer: str) -> Source:
        """The guest that has the CID now; WireError if no guest of this host has it, or two claim it."""
        try:
            guests = await self.devices()
        except HypervisorError as error:
            raise WireError("unknown-guest", f"the guest with CID {peer} cannot be looked up: {error}") from None
        owners = [guest for guest in guests if guest.running and str(guest.cid) == peer]
        if len(owners) != 1:
            raise WireError("unknown-guest", f"{len(owners)} guests of this host have the CID {peer}")
        return Source(peer, owners[0].vm, owners[0].vm_name, known=True)
