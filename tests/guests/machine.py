"""One guest under libvirt, and the means to run commands in it over its first serial port."""

from __future__ import annotations

import base64
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_program
from tests.guests.image import Image
from tests.libvirtd import Libvirtd

BOOT_SECONDS = 100.0
COMMAND_SECONDS = 60.0
BRIDGE = "fbr0"
HOST_ADDRESS = "192.0.2.1"

XML = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>160</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{image.kernel}</kernel>
    <initrd>{image.initrd}</initrd>
    <cmdline>console=ttyS0 quiet loglevel=3 panic=1 {words}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='unix'><source mode='bind' path='{folder}/control/{name}'/><target port='0'/></serial>
    {devices}
  </devices>
  {top}
</domain>
"""
SERIAL = "<serial type='unix'><source mode='bind' path='{folder}/serial/{name}'/><target port='1'/></serial>"
CHANNEL = (
    "<channel type='unix'><source mode='bind' path='{folder}/channel/{name}'/>"
    "<target type='virtio' name='org.fencebus.fence.0'/></channel>"
)
PORTS = "<controller type='virtio-serial' index='0'/>"
FORWARD = (
    "<channel type='unix'><source mode='bind' path='{folder}/forward/{name}'/>"
    "<target type='guestfwd' address='10.0.2.179' port='1229'/></channel>"
)
# libvirt gives the forwarded address a network of its own, and no card that leads there.
FORWARD_CARD = (
    "<qemu:commandline><qemu:arg value='-device'/>"
    "<qemu:arg value='virtio-net-pci,netdev={netdev},mac=52:54:01:00:00:01,addr=0x1d'/></qemu:commandline>"
)
CARD = (
    "<interface type='bridge'><mac address='{mac}'/><source bridge='" + BRIDGE + "'/><model type='virtio'/></interface>"
)


@dataclass(frozen=True)
class Said:
    """What became of a command in a guest."""

    status: int
    output: str
    seconds: float

    @property
    def told(self) -> tuple[int, str]:
        """What its caller can see."""
        return self.status, self.output


class Machine:
    """A running guest."""

    def __init__(self, libvirtd: Libvirtd, image: Image, name: str, number: int, *, channel: bool = True) -> None:
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.address = f"192.0.2.{number}"
        self.mac = f"52:54:00:00:00:{number:02x}"
        self._libvirtd, self._image, self._has_channel = libvirtd, image, channel
        self._began = 0.0
        self._socket: socket.socket | None = None
        self._received = b""

    def start(self) -> None:
        """Define and start it; ``wait`` waits until it obeys."""
        for kind in ("control", "serial", "channel", "forward"):
            (self._libvirtd.folder / kind).mkdir(exist_ok=True)
        self._libvirtd.admin.defineXML(self.xml()).create()
        self._connect(self._libvirtd.folder)

    def _connect(self, folder: Path) -> None:
        """Take the guest's first serial port, whose socket is in this folder."""
        self.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(folder / "control" / self.name))

    def xml(self) -> str:
        """Its definition: every way to the host that a guest can have."""
        folder = self._libvirtd.folder
        words = f"fb.net={self.address}/24@{self.mac} fb.net=10.0.2.15/24@52:54:01"
        return XML.format(
            name=self.name,
            uuid=self.uuid,
            image=self._image,
            words=words,
            emulator=require_program("qemu-system-x86_64", "qemu-system-x86"),
            folder=folder,
            devices=SERIAL.format(folder=folder, name=self.name)
            + self.channel * self._has_channel
            + PORTS
            + FORWARD.format(folder=folder, name=self.name)
            + CARD.format(mac=self.mac),
            top=FORWARD_CARD.format(netdev=f"channel{int(self._has_channel)}"),
        )

    @property
    def channel(self) -> str:
        """The XML of its VM channel, for those who plug it in later."""
        return CHANNEL.format(folder=self._libvirtd.folder, name=self.name)

    def wait(self) -> None:
        """Return once the guest obeys."""
        self._receive(b"ready\n", BOOT_SECONDS)
        self._received = b""

    def run(self, command: str, seconds: float = COMMAND_SECONDS) -> Said:
        """Run a shell command in the guest, to its end."""
        self.begin(command)
        return self.finish(seconds)

    def begin(self, command: str) -> None:
        """Run a shell command in the guest; ``finish`` waits for it."""
        assert self._socket is not None
        assert "\n" not in command
        self._began = time.monotonic()
        self._socket.sendall(command.encode() + b"\n")

    def finish(self, seconds: float = COMMAND_SECONDS) -> Said:
        """What became of the command that was begun."""
        answer = self._receive(b">", seconds)
        took = time.monotonic() - self._began
        self._received = b""
        text = base64.b64decode(answer[answer.rindex(b"<") + 1 : answer.rindex(b">")]).decode("utf-8", "replace")
        output, _, status = text.rpartition("=")
        return Said(int(status), output, took)

    def close(self) -> None:
        """Let go of the guest; its domain ends with libvirtd."""
        if self._socket is not None:
            self._socket.close()

    def _receive(self, mark: bytes, seconds: float) -> bytes:
        assert self._socket is not None
        limit = time.monotonic() + seconds
        while mark not in self._received:
            self._socket.settimeout(max(0.01, limit - time.monotonic()))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"{self.name} said only {self._received[-500:]!r} in {seconds} s") from None
            assert data, f"{self.name} has ended"
            self._received += data
        return self._received
