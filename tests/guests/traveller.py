"""A guest that can be on either of two hosts: a serial port and a channel to the host it is on, and no network."""

from __future__ import annotations

from pathlib import Path

from tests.components import require_program
from tests.guests.hosts import TwinHost
from tests.guests.image import Image
from tests.guests.machine import PORTS, SERIAL, XML, Machine
from tests.guests.world import eventually

SPEED = 40  # MiB/s
PLACE = "/var/lib/libvirt/qemu"
"""Each host has a folder of its own there: outside it is ``FOLDER/lib/qemu``."""
CHANNEL = "<channel type='unix'><source mode='bind'/><target type='virtio' name='org.fencebus.fence.0'/></channel>"
"""As the documentation has it: libvirt chooses the socket's path."""


CONNECTING = (
    "<serial type='unix'><source mode='connect' path='{folder}/serial/{name}'>"
    "<reconnect enabled='yes' timeout='1'/></source><target port='1'/></serial>"
)
"""The same line the other way round: the daemon listens, and QEMU connects."""


class Traveller(Machine):
    """A running guest, and the host that it is on."""

    def __init__(self, host: TwinHost, image: Image, name: str, number: int, serial: str = SERIAL) -> None:
        super().__init__(host.libvirtd, image, name, number)
        self.host = host
        self._serial = serial

    def start(self) -> None:
        """See Machine."""
        domain = self._libvirtd.admin.defineXML(self.xml())
        line = sockets(self.host) / "serial" / self.name
        # libvirt does not start a VM whose socket is not there; the daemon makes it when it hears of the definition.
        eventually(lambda: self._serial == SERIAL or line.exists())
        domain.create()
        self._connect(sockets(self.host))

    def xml(self) -> str:
        """See Machine."""
        return XML.format(
            name=self.name,
            uuid=self.uuid,
            image=self._image,
            words="",
            emulator=require_program("qemu-system-x86_64", "qemu-system-x86"),
            folder=PLACE,
            devices=self._serial.format(folder=PLACE, name=self.name) + CHANNEL + PORTS,
            top="",
        )

    def go_to(self, host: TwinHost) -> None:
        """Migrate, running; slowly enough to be seen on the way."""
        host.receive(self.host.libvirtd.admin.lookupByUUIDString(self.uuid), speed=SPEED)
        self.host = host
        self._connect(sockets(host))


def sockets(host: TwinHost) -> Path:
    """The folder of the guests' sockets, as the test sees it."""
    folder = host.libvirtd.folder / "lib" / "qemu"
    for kind in ("control", "serial"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    return folder
