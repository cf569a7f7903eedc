"""Which disks can be written after the process has ended, by the words of the live XML."""

from __future__ import annotations

import pytest

from fencebus_agent.disks import Outliving, outliving

URING = "<driver name='qemu' type='raw' io='io_uring'/>"
PLAIN = "<driver name='qemu' type='raw' cache='none' io='native'/>"


def domain(devices: str) -> str:
    return f"<domain><devices>{devices}</devices></domain>"


def disk(kind: str, inside: str, device: str = "disk") -> str:
    return domain(f"<disk type='{kind}' device='{device}'>{inside}<target dev='vda'/></disk>")


@pytest.mark.parametrize(
    "xml",
    (
        "<domain/>",
        domain(""),
        disk("file", PLAIN + "<source file='/a'/>"),
        disk("block", "<source dev='/dev/sdb'/>"),
        disk("file", URING + "<source file='/a'/><readonly/>"),
        disk("file", URING + "<source file='/a'/>", device="cdrom"),
        disk("file", URING),
        disk("network", "<source protocol='rbd' name='pool/image'/>"),
        domain("<filesystem type='mount'><driver type='path'/><source dir='/srv'/></filesystem>"),
        domain("<filesystem><driver type='virtiofs'/><source dir='/srv'/><readonly/></filesystem>"),
        domain("<interface type='vhostuser'/>"),
    ),
)
def test_an_ordinary_disk_ends_with_its_process(xml: str) -> None:
    assert outliving(xml).harmless


@pytest.mark.parametrize(
    ("xml", "image"),
    (
        (disk("file", URING + "<source file='/a'/>"), "/a"),
        (disk("block", URING + "<source dev='/dev/sdb'/>"), "/dev/sdb"),
        (disk("volume", URING + "<source pool='p' volume='v'/>"), "volume p/v"),
        (disk("block", URING + "<source dev='/dev/sdb'/>", device="lun"), "/dev/sdb"),
    ),
)
def test_an_io_uring_disk_outlives_it(xml: str, image: str) -> None:
    found = outliving(xml)
    assert found.images == (image,)
    assert not found.harmless
    assert image in found.blind


def test_an_image_used_twice_is_watched_once() -> None:
    one = f"<disk device='disk'>{URING}<source file='/a'/></disk>"
    assert outliving(domain(one + one)).images == ("/a",)


VIRTIOFS = "<driver type='virtiofs'/>"


@pytest.mark.parametrize(
    ("xml", "word"),
    (
        (disk("vhostuser", "<source type='unix' path='/s'/>"), "vda is written by a vhost-user process"),
        (disk("network", "<source protocol='nbd'><host transport='unix' socket='/s'/></source>"), "NBD server"),
        (domain(f"<filesystem>{VIRTIOFS}<source dir='/srv'/></filesystem>"), "/srv is written by virtiofsd"),
        (domain(f"<filesystem>{VIRTIOFS}<source socket='/sock'/></filesystem>"), "/sock is written"),
        (domain(f"<filesystem>{VIRTIOFS}</filesystem>"), "virtiofsd"),
    ),
)
def test_a_process_that_writes_for_the_vm_is_named(xml: str, word: str) -> None:
    found = outliving(xml)
    assert not found.harmless
    assert word in found.blind


def test_a_lock_that_was_seen_makes_the_end_visible() -> None:
    assert Outliving(("/a", "/b"), ("/a", "/b")).blind == ""
    assert Outliving(("/a", "/b"), ("/a",)).blind == "/b (io_uring) without a lock"
