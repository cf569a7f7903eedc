"""Real guests, while daemons die and guests misbehave: nobody else is delayed, and what was lost is a failure."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import libvirt
import pytest

from tests.components import require_file
from tests.guests.mischief import ALL_STALLS, CAME, END_FLOODS, FLOODS
from tests.guests.site import cpu_seconds
from tests.guests.world import PORT, GuestWorld, Way, eventually
from tests.interop.programs import Make, daemon_command
from tests.libvirtd import guest_xml
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(120)

REASONS = {"prompt": "noise", "connections": "", "datagrams": ""}
"""Why a flood is refused, where it is not by its mass; what random bytes fail by is random."""
ON = (0, "Status: ON\n")
TWO_LINES = (
    "<serial type='unix'><source mode='bind' path='{0}/serial/pair-a'/><target port='0'/></serial>"
    "<serial type='unix'><source mode='bind' path='{0}/serial/pair-b'/><target port='1'/></serial>"
)


@pytest.fixture(autouse=True)
def _ready(guests: GuestWorld) -> None:
    guests.make_ready()


def test_a_daemon_that_is_killed_in_the_middle_of_a_kill_makes_a_failure_and_the_next_request_works(
    guests: GuestWorld,
) -> None:
    qemu = guests.host.libvirtd.qemu_pid("target")
    os.kill(qemu, signal.SIGSTOP)  # so that it does not heed libvirt's SIGTERM yet
    guests.one.begin(Way.SERIAL.ours("-o off -n target -t 2"))
    guests.says("action=off target='target'")
    guests.host.daemon.stop(signal.SIGKILL)
    os.kill(qemu, signal.SIGCONT)
    guests.host.start()
    assert guests.one.finish().status != 0
    assert guests.one.run(Way.SERIAL.ours("-o off -n target")).status == 0, guests.host.daemon.output[-4000:]
    eventually(lambda: not guests.domain.isActive())


@pytest.mark.parametrize("way", Way)
def test_a_request_that_dies_with_its_daemon_is_carried_out_by_the_next_one_or_fails(
    guests: GuestWorld, way: Way
) -> None:
    guests.host.daemon.send(signal.SIGSTOP)
    guests.one.begin(way.ours("-o off -n target -t 30"))
    time.sleep(1.5)
    guests.host.daemon.stop(signal.SIGKILL)
    assert guests.domain.isActive()
    guests.host.start()
    said = guests.one.finish()
    if way is Way.TCP:  # its connection has ended, and the client says so at once
        assert said.status == 1
        said = guests.one.run(way.ours("-o off -n target"))
    assert said.status == 0, guests.host.daemon.output[-4000:]
    assert said.seconds < 15
    eventually(lambda: not guests.domain.isActive())


def test_libvirtd_is_restarted_and_every_line_goes_on(guests: GuestWorld) -> None:
    guests.host.libvirtd.kill()
    guests.one.begin(Way.SERIAL.ours("-o status -n target"))
    time.sleep(2.0)
    guests.host.libvirtd.start()
    assert guests.one.finish().told == ON
    assert guests.status(guests.two).told == ON
    assert guests.one.run(Way.CHANNEL.ours("-o off -n target")).status == 0


@pytest.mark.parametrize("kind", FLOODS)
def test_a_guest_that_floods_its_way_delays_no_other(guests: GuestWorld, kind: str) -> None:
    way, flood = FLOODS[kind]
    guests.one.run(f"({flood}) >/dev/null 2>&1 & true")
    before, began = guests.host.cpu_seconds(), time.monotonic()
    said = guests.two.run(Way.SERIAL.ours("-o status -n target"))
    time.sleep(1.0)
    share = (guests.host.cpu_seconds() - before) / (time.monotonic() - began)
    guests.one.run(END_FLOODS)
    assert said.told == ON
    source = guests.one.address if way in (Way.TCP, Way.MULTICAST) else guests.one.uuid
    told = guests.host.daemon.output
    assert re.search(rf"source={source} via=\S+ reason={REASONS.get(kind, 'flood')}", told), told[-2000:]
    assert share < 0.5
    # It was read, and dropped, at a bounded rate: then the flooder itself can ask again.
    eventually(lambda: guests.one.run(way.ours("-o status -n target -t 5")).told == ON, 60)


def test_a_guest_that_stops_reading_in_the_middle_of_a_long_list_delays_no_other(guests: GuestWorld) -> None:
    with guests.crowd(500):
        listed = guests.one.run(Way.CHANNEL.ours("-o list"))
        assert len(listed.output.splitlines()) == 503, guests.host.daemon.output[-2000:]
        guests.one.begin(ALL_STALLS)
        for _ in range(4):
            assert guests.two.run(Way.SERIAL.ours("-o status -n target")).told == ON
        assert guests.one.finish().output.split() == list(CAME.values())
        for way in (Way.SERIAL, Way.CHANNEL, Way.GUESTFWD):  # which have kept the rest
            assert guests.one.run(way.ours("-o status -n target")).told == ON, way


def test_a_vm_that_comes_gets_its_line_and_loses_it_when_it_goes(guests: GuestWorld) -> None:
    libvirtd = guests.host.libvirtd
    libvirtd.admin.createXML(guest_xml("fleeting", devices=TWO_LINES.format(libvirtd.folder)))
    guests.says("/serial/pair-b of fleeting")
    libvirtd.admin.lookupByName("fleeting").destroy()
    guests.says("/serial/pair-a of fleeting is gone")
    assert guests.status(guests.two).told == ON


def test_a_channel_that_is_hot_plugged_works_at_once_and_is_dropped_when_it_is_unplugged(guests: GuestWorld) -> None:
    domain = guests.host.libvirtd.admin.lookupByUUIDString(guests.two.uuid)
    assert domain.attachDevice(guests.two.channel) == 0
    eventually(lambda: guests.two.run("ls /sys/class/virtio-ports").output != "")
    guests.two.run(f"ln -sf /dev/$(ls /sys/class/virtio-ports) {PORT}")
    assert guests.status(guests.two, Way.CHANNEL).told == ON
    domain.detachDevice(guests.two.channel)
    guests.says("/channel/node2 of node2 is gone")
    assert guests.status(guests.two).told == ON


def test_the_idle_daemon_takes_no_time(guests: GuestWorld) -> None:
    time.sleep(1.0)
    assert any(spent(guests) <= 0.04 for _ in range(TRIES))


TRIES = 4
"""What comes back from another test, or from a machine that others use, passes; what a daemon does for ever stays."""


def spent(guests: GuestWorld) -> float:
    """Seconds of processor time of the daemon in two."""
    before = guests.host.cpu_seconds()
    time.sleep(2.0)
    return guests.host.cpu_seconds() - before


def test_after_the_end_of_a_line_the_c_daemon_takes_a_whole_core_and_ours_none(guests: GuestWorld) -> None:
    """C closes one of a VM's two sockets when it stops, and reads the other one's end of file for ever (6.3, 31)."""
    libvirtd = guests.host.libvirtd
    require_file("/usr/lib/x86_64-linux-gnu/fence-virt/serial.so", "fence-virtd")
    folder = libvirtd.folder / "pair"
    folder.mkdir(exist_ok=True)
    config = folder / "conf"
    config.touch(mode=0o600)
    config.write_text(
        'fence_virtd { listener = "serial"; backend = "libvirt"; }\n'
        f'listeners {{ serial {{ uri = "{libvirtd.uri}"; mode = "serial"; path = "{folder}";'
        f' key_file = "{libvirtd.folder}/key"; }} }}\n'  # which it wants, and has no use for
        f'backends {{ libvirt {{ uri = "{libvirtd.uri}"; }} }}\n'
    )
    devices = TWO_LINES.format(libvirtd.folder).replace("/serial/", "/pair/")
    libvirtd.admin.createXML(guest_xml("pair", devices=devices))
    argv = [*daemon_command(Make.C), "-F", "-d9", "-f", str(config), "-p", str(folder / "pid")]
    with ServerProcess(argv, folder / "log") as c_daemon:
        time.sleep(2.5)
        libvirtd.admin.lookupByName("pair").destroy()
        time.sleep(1.0)
        began, before = time.monotonic(), cpu_seconds(c_daemon.pid)
        assert any(spent(guests) <= 0.06 for _ in range(TRIES))
        assert cpu_seconds(c_daemon.pid) - before > 0.2 * (time.monotonic() - began)
        c_daemon.send(signal.SIGKILL)


def test_a_label_in_the_vms_metadata_makes_a_cluster(guests: GuestWorld) -> None:
    uri = guests.host.libvirtd.uri

    def label(vm: str, *words: str) -> None:
        command = ["virsh", "-c", uri, "metadata", vm, "--uri", "urn:fencebus:domain:1", *words, "--live", "--config"]
        subprocess.run(command, check=True, capture_output=True, text=True)

    blue = ("--key", "fencebus", "--set", "<cluster>blue</cluster>")
    try:
        label("node1", *blue)
        eventually(lambda: guests.one.run(Way.SERIAL.ours("-o off -n target")).status not in (0, 255))
        assert guests.domain.isActive()
        label("target", *blue)
        eventually(lambda: guests.status(guests.one).told == ON)
        assert guests.one.run(Way.SERIAL.ours("-o off -n target")).status == 0
        assert "<fencebus:cluster" in guests.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        guests.domain.create()
        assert guests.status(guests.one).told == ON
        assert guests.status(guests.two).status not in (0, 2)
    finally:
        label("node1", "--remove")
        if guests.domain.isActive():
            label("target", "--remove")
