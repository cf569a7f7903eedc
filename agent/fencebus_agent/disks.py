"""Decides, from a live domain's XML, which of its disks can be written after its process has ended (design 6.4).

Pure.  A process that leaves waits for its threads and for native asynchronous I/O, so an ordinary disk needs nothing
more than the exit.  docs/death.md says what stands on this list, and why.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outliving:
    """What of a VM can still write after the exit of its process."""

    images: tuple[str, ...] = ()
    """Files and devices used through io_uring: their last write can end after the exit; QEMU's lock on them goes with
    it.
    """
    locked: tuple[str, ...] = ()
    """Those of ``images`` on which a lock was seen while the VM ran: the end of that lock can be seen too."""
    unseen: tuple[str, ...] = ()
    """Sentences about writers whose end cannot be seen."""

    @property
    def harmless(self) -> bool:
        """True if the exit is enough."""
        return not self.images and not self.unseen

    @property
    def blind(self) -> str:
        """The sentence about what can never be seen to end; empty if there is nothing of that kind."""
        invisible = [f"{image} (io_uring) without a lock" for image in self.images if image not in self.locked]
        return "; ".join([*self.unseen, *invisible])


def outliving(xml: str) -> Outliving:
    """Read the disks and file systems of a domain's live XML; locks are not looked for here."""
    devices = ET.fromstring(xml).find("devices")
    if devices is None:
        return Outliving()
    disks = [disk for disk in devices.iterfind("disk") if _writes(disk)]
    images = [image for disk in disks if _io(disk) == "io_uring" for image in _images(disk)]
    unseen = [*_foreign_disks(disks), *_shared_folders(devices)]
    return Outliving(tuple(dict.fromkeys(images)), (), tuple(unseen))


def _writes(disk: ET.Element) -> bool:
    return disk.find("readonly") is None and disk.get("device", "disk") in ("disk", "lun")


def _io(disk: ET.Element) -> str:
    driver = disk.find("driver")
    return driver.get("io", "") if driver is not None else ""


def _images(disk: ET.Element) -> Iterator[str]:
    source = disk.find("source")
    if source is not None:
        path = source.get("file") or source.get("dev")
        # A network disk takes no io= of its own; a volume's path is not in this XML.
        yield path or f"volume {source.get('pool')}/{source.get('volume')}"


def _foreign_disks(disks: list[ET.Element]) -> Iterator[str]:
    for disk in disks:
        source, target = disk.find("source"), disk.find("target")
        name = target.get("dev", "") if target is not None else ""
        if disk.get("type") == "vhostuser":
            yield f"disk {name} is written by a vhost-user process, whose end cannot be seen"
        elif source is not None and source.get("protocol") == "nbd":
            yield f"disk {name} is written by an NBD server, whose end cannot be seen"


def _shared_folders(devices: ET.Element) -> Iterator[str]:
    for folder in devices.iterfind("filesystem"):
        driver = folder.find("driver")
        if driver is not None and driver.get("type") == "virtiofs" and folder.find("readonly") is None:
            source = folder.find("source")
            place = (source.get("dir") or source.get("socket")) if source is not None else ""
            yield f"{place} is written by virtiofsd, whose end cannot be seen"
