"""Decides how a fence_virtd is asked over a serial device, a virtio port or a VM channel: the line itself is the
proof.
"""

from __future__ import annotations

import _socket
import posix

from fencebus_schemas.serialline import SerialRequest

from .answers import Answer, ask_on_line
from .failures import EXIT_INTERNAL, LineFailure, NoAnswer, words
from .line import Line
from .patience import Patience
from .stream import NOBODY_THERE, connect_tcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings


NAMED_CHANNEL = "/dev/virtio-ports/org.fencebus.fence.0"
"""The virtio port that belongs to fencebus, if the VM has one."""
NO_WAY_NAMED = (
    "no option names a way: -T ADDRESS (TCP), -S 2 (vsock), -D /dev/ttyS1 (serial line); or fence_xvm (multicast);"
    f" or give the VM the channel {NAMED_CHANNEL}"
)


def named_channel(settings: Settings) -> str:
    """Return the named channel's device if the guest has one and no option speaks of another channel, else ""."""
    if settings.channel_given:
        return ""
    try:
        posix.stat(NAMED_CHANNEL)
    except OSError:
        return ""
    return NAMED_CHANNEL


QUIET_SECONDS = 0.1
"""For so long nothing must have come down the line before the request goes up."""
LONGEST_NOISE_SECONDS = 1.0
"""A line that does not fall silent (a console with a log) is asked all the same."""


def ask_device(settings: Settings, device: str, code: int) -> Answer:
    """Ask over a device: a terminal such as /dev/ttyS1, or (as C cannot) a port such as /dev/virtio-ports/NAME.

    Raises:
        NoAnswer: it cannot be opened or is in use, or no answer came.
    """
    try:
        # Not blocking: a virtio port would wait in open() until the host side is connected.
        fd = posix.open(device, posix.O_RDWR | posix.O_NOCTTY | posix.O_NONBLOCK)
    except OSError as error:
        raise NoAnswer(
            f"cannot open {device}: {words(error)}",
            "see that the VM has this device (virsh dumpxml) and that -D names it as the guest does",
            EXIT_INTERNAL,
        ) from None
    try:
        is_terminal = prepare(fd, device, settings)
        return _ask(Line(fd, ends=is_terminal), settings, code, device)
    finally:
        posix.close(fd)


def prepare(fd: int, device: str, settings: Settings) -> bool:
    """Lock the device, and set the line up if it is a terminal; return whether it is one. Raises NoAnswer."""
    from fcntl import LOCK_EX, LOCK_NB, lockf

    try:
        lockf(fd, LOCK_EX | LOCK_NB)
    except OSError as error:
        raise NoAnswer(
            f"{device} is in use: {words(error)}", "wait for the other fence_virt to end", EXIT_INTERNAL
        ) from None
    if not posix.isatty(fd):
        return False
    from .terminal import hang_up, set_raw

    try:
        set_raw(fd, *settings.serial_params)
        hang_up(fd)
    except OSError as error:
        raise NoAnswer(f"cannot set up {device}: {words(error)}", "see -P serial_params", EXIT_INTERNAL) from None
    return True


def ask_channel(settings: Settings, code: int) -> Answer:
    """Ask over QEMU's guestfwd, a TCP connection to 10.0.2.179:1229 that QEMU itself answers. Raises NoAnswer."""
    where = settings.channel_address
    patience = Patience(settings.timeout)
    remedy = NOBODY_THERE if settings.channel_given else NO_WAY_NAMED
    connection: _socket.socket = connect_tcp(where, settings.ipport, patience, EXIT_INTERNAL, remedy)
    try:
        return _ask(Line(connection.fileno()), settings, code, f"{where}:{settings.ipport}")
    finally:
        connection.close()


def _ask(line: Line, settings: Settings, code: int, where: str) -> Answer:
    request = SerialRequest(code, settings.plug, int.from_bytes(posix.urandom(4), "little"))
    try:
        # A reply does not say which request it answers. One to a client that gave up is kept by QEMU, which passes it
        # on to whoever opens the line next: taken for the answer to this fence, it would be a lie.
        line.drop_what_waits(QUIET_SECONDS, Patience(LONGEST_NOISE_SECONDS))
        return ask_on_line(line, request, settings.timeout)
    except LineFailure as error:
        raise NoAnswer(
            f"no answer on {where} within {settings.timeout} s: {error}",
            "see that fence_virtd runs on the host with its serial listener, in the mode that fits this device",
            EXIT_INTERNAL,
        ) from None
