"""What a domain's XML says of its guest's ways to the host."""

from __future__ import annotations

import pytest

from fencebus_agent.guest_devices import CHANNEL_NAME, GuestDevices, GuestLine, LineKind, read_devices

VM = "11111111-1111-1111-1111-111111111111"


def devices_of(inner: str, running: bool = True) -> GuestDevices:
    xml = f"<domain type='kvm'><name>node1</name><uuid>{VM.upper()}</uuid><devices>{inner}</devices></domain>"
    return read_devices(xml, running)


@pytest.mark.parametrize(
    ("inner", "kind", "listens", "port"),
    (
        (
            "<serial type='unix'><source mode='bind' path='/s'/><target port='1'/></serial>",
            LineKind.SERIAL,
            False,
            "",
        ),
        (
            (
                "<serial type='unix'><source mode='connect' path='/s'><reconnect enabled='yes' timeout='1'/></source>"
                "<target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>"
            ),
            LineKind.SERIAL,
            True,
            "",
        ),
        ("<serial type='unix'><source mode='bind' path='/s'/></serial>", LineKind.SERIAL, False, ""),
        (
            (
                f"<channel type='unix'><source mode='bind' path='/s'/><target type='virtio' name='{CHANNEL_NAME}'"
                " state='disconnected'/><alias name='channel0'/></channel>"
            ),
            LineKind.CHANNEL,
            False,
            CHANNEL_NAME,
        ),
        (
            "<channel type='unix'><source mode='bind' path='/s'/><target type='virtio'/></channel>",
            LineKind.CHANNEL,
            False,
            "",
        ),
        (
            (
                "<channel type='unix'><source mode='bind' path='/s'/>"
                "<target type='guestfwd' address='10.0.2.179' port='1229'/></channel>"
            ),
            LineKind.GUESTFWD,
            False,
            "",
        ),
    ),
)
def test_a_line_on_a_unix_socket_is_found(inner: str, kind: LineKind, listens: bool, port: str) -> None:
    found = devices_of(inner)
    assert (found.vm, found.vm_name) == (VM, "node1")
    assert found.lines == (GuestLine(found.vm, "node1", kind, "/s", listens, port),)


@pytest.mark.parametrize(
    "inner",
    (
        "<serial type='pty'><source path='/dev/pts/3'/><target port='0'/></serial>",
        "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='2445'/></serial>",
        "<serial type='unix'><target port='0'/></serial>",
        "<serial type='unix'><source mode='bind'/></serial>",
        "<serial type='unix'><source mode='client' path='/s'/></serial>",
        "<console type='unix'><source mode='bind' path='/s'/><target type='serial' port='0'/></console>",
        "<channel type='unix'><source mode='bind' path='/s'/><target type='xen' name='x'/></channel>",
        "<channel type='unix'><source mode='bind' path='/s'/></channel>",
        "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>",
        "<parallel type='unix'><source mode='bind' path='/s'/></parallel>",
    ),
)
def test_what_is_no_line_on_a_unix_socket_is_left_alone(inner: str) -> None:
    assert devices_of(inner).lines == ()


def test_a_guest_may_have_several_lines() -> None:
    one = "<serial type='unix'><source mode='bind' path='/{0}'/><target port='{0}'/></serial>"
    assert [line.path for line in devices_of(one.format(1) + one.format(2)).lines] == ["/1", "/2"]


@pytest.mark.parametrize(
    ("inner", "cid"),
    (
        ("<vsock model='virtio'><cid auto='no' address='42'/></vsock>", 42),
        ("<vsock model='virtio'><cid auto='yes'/></vsock>", None),
        ("<vsock/>", None),
        ("", None),
    ),
)
def test_the_vsock_address_is_the_one_that_is_written(inner: str, cid: int | None) -> None:
    assert devices_of(inner).cid == cid


def test_whether_the_guest_runs_is_what_the_caller_says() -> None:
    assert devices_of("").running
    assert not devices_of("", running=False).running
