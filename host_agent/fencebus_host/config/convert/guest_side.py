"""Decides which fence device reaches a listener from within a guest."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_host.config.convert.conversion import GuestDevice, GuestNode
from fencebus_host.config.model import (
    DEFAULT_KEY,
    DEFAULT_PORT,
    Digest,
    KeyedSettings,
    ListenerSettings,
    MulticastSettings,
    SerialMode,
    SerialSettings,
    TcpSettings,
    VsockSettings,
)

DEFAULT_GROUPS = ("225.0.0.12", "ff05::3:1")
HOST_CID = "2"
SERIAL_DEVICE = "/dev/ttyS1"
UNSPECIFIED = ("0.0.0.0", "::")
HOST_ADDRESS = "ADDRESS_OF_THE_HOST"
"""Stands where only somebody who knows the network can say what to write."""
EXAMPLE = (GuestNode("node1", "vm1"), GuestNode("node2", "vm2"))


def device_for(settings: ListenerSettings, nodes: tuple[GuestNode, ...], name: str = "fence_vm") -> GuestDevice:
    """The device for the guests' cluster that speaks to this listener."""
    agent = "fence_xvm" if isinstance(settings, MulticastSettings) else "fence_virt"
    return GuestDevice(name, agent, tuple(_options(settings)), nodes)


def _options(settings: ListenerSettings) -> Iterator[tuple[str, str]]:
    if isinstance(settings, SerialSettings):
        if settings.mode is SerialMode.SERIAL:
            yield "serial_device", SERIAL_DEVICE
        else:
            yield "channel_address", "10.0.2.179"
    elif isinstance(settings, KeyedSettings):
        yield from _address(settings)
        yield from _keyed(settings)


def _address(settings: KeyedSettings) -> Iterator[tuple[str, str]]:
    if isinstance(settings, MulticastSettings):
        if settings.address not in DEFAULT_GROUPS:
            yield "multicast_address", settings.address
        if ":" in settings.address:
            yield "ip_family", "ipv6"
    elif isinstance(settings, TcpSettings):
        yield "ipaddr", HOST_ADDRESS if settings.address in UNSPECIFIED else settings.address
    elif isinstance(settings, VsockSettings):
        yield "vsock", HOST_CID


def _keyed(settings: KeyedSettings) -> Iterator[tuple[str, str]]:
    if settings.port != DEFAULT_PORT:
        yield "ipport", str(settings.port)
    for name, digest in (("hash", settings.hash), ("auth", settings.auth)):
        if digest is not Digest.SHA256:
            yield name, digest.value
    # The guests' copy of the key lies where the client looks for it.
    if settings.uses_key and settings.key_files[0].name != DEFAULT_KEY.name:
        yield "key_file", str(DEFAULT_KEY.with_name(settings.key_files[0].name))
