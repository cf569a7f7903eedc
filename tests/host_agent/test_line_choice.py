"""Which lines a serial listener uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.guest_devices import CHANNEL_NAME, GuestDevices, GuestLine, LineKind
from fencebus_host.config.model import SerialMode, SerialSettings
from fencebus_host.config.problems import Where
from fencebus_host.line_choice import chosen
from fencebus_schemas.model import Uuid

VM = Uuid("11111111-1111-1111-1111-111111111111")
OTHER = Uuid("22222222-2222-2222-2222-222222222222")
SERIAL = GuestLine(VM, "node1", LineKind.SERIAL, "/run/fence/serial")
FORWARD = GuestLine(VM, "node1", LineKind.GUESTFWD, "/run/fence/forward")
NAMED = GuestLine(VM, "node1", LineKind.CHANNEL, "/var/lib/libvirt/qemu/channel/1", port_name=CHANNEL_NAME)
OWN = GuestLine(VM, "node1", LineKind.CHANNEL, "/run/fence/own", port_name="my.own.port")
AGENT = GuestLine(VM, "node1", LineKind.CHANNEL, "/run/fence/agent", port_name="org.qemu.guest_agent.0")
ALL = GuestDevices(VM, "node1", (SERIAL, FORWARD, NAMED, OWN, AGENT))
WAITING = replace(SERIAL, daemon_listens=True)


def section(mode: SerialMode, path: str | None = None) -> SerialSettings:
    return SerialSettings(where=Where("test"), mode=mode, path=Path(path) if path else None)


@pytest.mark.parametrize(
    ("settings", "lines"),
    (
        (section(SerialMode.SERIAL), {SERIAL, NAMED}),
        (section(SerialMode.VMCHANNEL), {FORWARD, NAMED}),
        (section(SerialMode.SERIAL, "/run/fence"), {SERIAL, NAMED}),
        (section(SerialMode.VMCHANNEL, "/run/fence"), {FORWARD, NAMED, OWN}),
        (section(SerialMode.SERIAL, "/run"), {NAMED}),
        (section(SerialMode.VMCHANNEL, "/run"), {NAMED}),
        (section(SerialMode.SERIAL, "/run/fence/"), {SERIAL, NAMED}),
    ),
)
def test_the_mode_and_the_folder_choose_and_the_named_channel_is_always_ours(
    settings: SerialSettings, lines: set[GuestLine]
) -> None:
    assert chosen(settings, [ALL]) == lines


@pytest.mark.parametrize("port", ("org.qemu.guest_agent.0", "com.redhat.spice.0", "org.spice-space.webdav.0"))
def test_the_ports_of_others_are_never_touched(port: str) -> None:
    """C's daemon takes the guest agent's, and every word on it goes astray."""
    guest = GuestDevices(VM, "node1", (replace(OWN, port_name=port),))
    assert not chosen(section(SerialMode.VMCHANNEL, "/run/fence"), [guest])
    assert not chosen(section(SerialMode.VMCHANNEL), [guest])


def test_a_guest_that_does_not_run_has_no_socket_to_connect_to() -> None:
    assert not chosen(section(SerialMode.SERIAL), [replace(ALL, running=False)])


def test_where_the_daemon_listens_it_does_so_before_the_guest_runs() -> None:
    guest = GuestDevices(VM, "node1", (WAITING,), running=False)
    assert chosen(section(SerialMode.SERIAL), [guest]) == {WAITING}


def test_a_socket_of_two_guests_belongs_to_the_one_that_runs() -> None:
    waiting = GuestDevices(OTHER, "node2", (replace(WAITING, vm=OTHER, vm_name="node2"),), running=False)
    assert chosen(section(SerialMode.SERIAL), [waiting, GuestDevices(VM, "node1", (WAITING,))]) == {WAITING}


def test_a_socket_of_two_guests_that_both_run_is_nobodys() -> None:
    guests = [GuestDevices(VM, "node1", (WAITING,)), GuestDevices(OTHER, "node2", (replace(WAITING, vm=OTHER),))]
    assert not chosen(section(SerialMode.SERIAL), guests)
