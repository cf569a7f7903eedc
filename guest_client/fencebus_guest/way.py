"""Converts settings to the words for the way that a request takes, and why it takes that one (``-v``)."""

from __future__ import annotations

from . import serial
from .options import FENCE_XVM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings


def way(program: str, settings: Settings) -> str:
    """Return one sentence; it follows the order in which ``main.ask`` decides."""
    if program == FENCE_XVM:
        return "asking by multicast, which is all that fence_xvm does"
    if settings.vsock:
        return f"asking vsock CID {settings.vsock}, port {settings.ipport}, because of -S"
    if settings.ipaddr:
        return f"asking {settings.ipaddr}, TCP port {settings.ipport}, because of -T"
    if settings.serial_device:
        return f"asking on {settings.serial_device}, because of -D"
    if serial.named_channel(settings):
        return f"asking on {serial.NAMED_CHANNEL}, because this guest has it and no option names another way"
    forward = f"asking QEMU's guestfwd at {settings.channel_address}:{settings.ipport}"
    if settings.channel_given:
        return f"{forward}, because of -A or -p"
    return f"{forward}, because no option names a way and this guest has no {serial.NAMED_CHANNEL}"
