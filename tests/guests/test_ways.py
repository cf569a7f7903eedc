"""From inside a guest, by every way, with both clients: another VM is listed, fenced, started and rebooted."""

from __future__ import annotations

import time

import pytest

from tests.guests.world import PORT, GuestWorld, Way

pytestmark = pytest.mark.timeout(170)

ON = (0, "Status: ON\n")
COURSE = (
    ("status", *ON),
    ("off", 0, ""),
    ("status", 2, "Status: OFF\n"),
    ("on", 0, ""),
)


def runs(guests: GuestWorld) -> bool:
    """Whether the target does; libvirt notices an end up to 0.2 s late."""
    time.sleep(0.3)
    return bool(guests.domain.isActive())


@pytest.mark.parametrize("way", Way)
def test_our_client_fences_another_vm(guests: GuestWorld, way: Way) -> None:
    guests.make_ready()
    node = guests.one
    for action, status, output in COURSE:
        assert node.run(way.ours(f"-o {action} -n target")).told == (status, output), action
        assert runs(guests) == (action in ("status", "on") and status == 0), action
    before = guests.host.libvirtd.qemu_pid("target")
    assert node.run(way.ours(f"-o reboot -n {guests.target}")).told == (0, "")
    assert guests.host.libvirtd.qemu_pid("target") != before
    listed = node.run(way.ours("-o list"))
    assert listed.status == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == ["node1", "node2", "target"]


@pytest.mark.parametrize("way", [way for way in Way if way is not Way.CHANNEL])
def test_the_c_client_fences_another_vm(guests: GuestWorld, way: Way) -> None:
    """By all ways but the virtio port, which it takes for a terminal."""
    guests.make_ready()
    node = guests.one
    for action, status, output in COURSE:
        assert node.run(way.c(f"-o {action} -n target")).told == (status, output), action
        assert runs(guests) == (action in ("status", "on") and status == 0), action
    before = guests.host.libvirtd.qemu_pid("target")
    assert node.run(way.c("-o reboot -n target")).told == (0, "")
    assert guests.host.libvirtd.qemu_pid("target") != before
    assert [line.split()[0] for line in node.run(way.c("-o list")).output.splitlines()] == ["node1", "node2", "target"]


def test_the_c_client_cannot_use_a_virtio_port(guests: GuestWorld) -> None:
    guests.make_ready()
    assert guests.one.run(Way.CHANNEL.c("-o status -n target")).status == 255


def test_an_unknown_vm_is_a_failure_by_every_way(guests: GuestWorld) -> None:
    guests.make_ready()
    for way in Way:
        assert guests.one.run(way.ours("-o off -n nobody")).status == 1, way


@pytest.mark.parametrize("device", ("/dev/ttyS1", PORT))
def test_a_program_that_died_in_the_middle_of_its_request_is_nothing_to_the_next_one(
    guests: GuestWorld, device: str
) -> None:
    guests.make_ready()
    half = r"printf 'abba\002\000tar'"
    assert guests.one.run(f"{half} > {device}; /ours/fence_virt -D {device} -o status -n target").told == ON
    assert guests.domain.isActive()


def test_two_guests_ask_at_the_same_time(guests: GuestWorld) -> None:
    guests.make_ready()
    guests.one.begin(Way.SERIAL.ours("-o status -n target"))
    guests.two.begin(Way.SERIAL.ours("-o status -n target"))
    assert guests.one.finish().told == guests.two.finish().told == ON


def test_without_an_option_each_guest_takes_the_way_that_it_has(guests: GuestWorld) -> None:
    guests.make_ready()
    one = guests.one.run("/ours/fence_virt -v -o status -n target")
    assert one.status == 0
    assert "asking on /dev/virtio-ports/org.fencebus.fence.0, because this guest has it" in one.output
    two = guests.two.run("/ours/fence_virt -v -o status -n target")
    assert two.status == 0
    assert "asking QEMU's guestfwd at 10.0.2.179:1229, because no option names a way" in two.output
