"""Converts serial parameters to terminal settings: raw, and freshly hung up, as C's client leaves the line."""

from __future__ import annotations

import termios
from fcntl import ioctl
from time import sleep

HANG_UP_SECONDS = 0.3
_SIZES = {"5": termios.CS5, "6": termios.CS6, "7": termios.CS7, "8": termios.CS8}
_PARITIES = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}
_STOPS = {"1": 0, "2": termios.CSTOPB}


def set_raw(fd: int, speed: int, frame: str) -> None:
    """Set speed and frame ("8N1"), no echo, no translation, and drop what waits in either direction. Raises OSError."""
    size, parity, stop = frame[0], frame[1], frame[2]
    control = termios.CLOCAL | termios.CREAD | termios.CRTSCTS | _SIZES[size] | _PARITIES[parity] | _STOPS[stop]
    rate = getattr(termios, f"B{speed}")
    try:
        characters: list[bytes | int] = [0] * len(termios.tcgetattr(fd)[6])
        characters[termios.VMIN] = 1
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, rate, rate, characters])
        termios.tcflush(fd, termios.TCIOFLUSH)
    except termios.error as error:
        raise OSError(*error.args) from None


def hang_up(fd: int) -> None:
    """Drop DTR and RTS for 0.3 s and raise them, so that the other side starts anew. No modem lines: nothing
    happens.
    """
    lines = (termios.TIOCM_DTR | termios.TIOCM_RTS).to_bytes(4, "little")
    try:
        ioctl(fd, termios.TIOCMBIC, lines)
        sleep(HANG_UP_SECONDS)
        ioctl(fd, termios.TIOCMBIS, lines)
    except OSError:
        # A pseudo terminal has no modem lines.
        return
