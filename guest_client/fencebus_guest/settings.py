"""Converts the text of each option to the setting that it stands for, and refuses what C's client refuses.

Numbers are C's: ``0x10`` and ``020`` are 16. A value that cannot be understood is an error, never a default (the
default action is a reboot).
"""

from __future__ import annotations

from fencebus_schemas import digest, xvm

from .failures import UsageError
from .options import ACTIONS, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ANY_CID = 0xFFFFFFFF
HOST_CID = 2
SPEEDS = (2400, 9600, 19200, 38400, 57600, 115200)
FAMILIES = ("auto", "ipv4", "ipv6")


class Settings:
    """All that options can say, with the defaults of C. Only ``Settings.take`` changes it."""

    def __init__(self) -> None:
        self.action = "reboot"
        self.auth = digest.HASH_SHA256
        self.channel_address = "10.0.2.179"
        self.channel_given = False
        """Whether an option speaks of the channel's address or port: then it is that channel and no other."""
        self.debug = 0
        self.delay = 0
        self.hash = digest.HASH_SHA256
        self.doctor = False
        self.help = False
        self.ip_family = "auto"
        self.ipaddr = ""
        self.ipport = xvm.DEFAULT_PORT
        self.json = False
        self.key_file = "/etc/cluster/fence_xvm.key"
        self.key_file_given = False
        self.multicast_address = ""
        self.plug = ""
        self.retrans = 20
        self.serial_device = ""
        self.serial_params = (115200, "8N1")
        self.timeout = 30
        self.use_uuid = False
        self.verbose = False
        self.version = False
        self.vsock = 0

    def take(self, option: Option, text: str | None) -> None:
        """Set what ``option`` with the value ``text`` says; ``None`` is an option without a value.

        Raises:
            UsageError: the value is missing, out of range, or the target is given twice.
        """
        if text is None and option.setting not in _WITHOUT_VALUE:
            raise UsageError(f"{option.name} needs a value")
        try:
            value = _READERS[option.setting](self, text or "")
        except ValueError as error:
            raise UsageError(f"{option.name or option.setting} cannot be {text!r}: {error}") from None
        setattr(self, option.setting, value)
        if option.setting == "key_file":
            self.key_file_given = True
        elif option.setting in ("channel_address", "ipport"):
            self.channel_given = True


def number(text: str) -> int:
    """Return the number that C's strtol with base 0 reads from the whole of ``text``. Raises ValueError."""
    digits = text.strip().lower()
    octal = digits[:1] == "0" and digits[1:].isdigit()
    try:
        return int(digits, 8 if octal else 0)
    except ValueError:
        raise ValueError("it is not a number") from None


def _between(text: str, lowest: int, highest: int) -> int:
    value = number(text)
    if not lowest <= value <= highest:
        raise ValueError(f"it must be from {lowest} to {highest}")
    return value


def _word(text: str, words: tuple[str, ...]) -> str:
    if text.lower() not in words:
        raise ValueError(f"it must be one of {', '.join(words)}")
    return text.lower()


def _debug(settings: Settings, text: str) -> int:
    if not text:
        return settings.debug + 1
    level = number(text)
    return level if level >= 0 else 1


def _hash(settings: Settings, text: str) -> int:
    return digest.HASH_NAMES.index(_word(text, digest.HASH_NAMES))


def _plug(settings: Settings, text: str) -> str:
    if settings.plug:
        raise ValueError("the target may not be specified more than once")
    if not 0 < len(text.encode()) < xvm.NAME_LENGTH or "\0" in text:
        raise ValueError("a name has 1 to 63 bytes of UTF-8, none of them NUL")
    return text


def _serial_params(settings: Settings, text: str) -> tuple[int, str]:
    speed, _, frame = text.partition(",")
    frame = (frame or "8N1").upper()
    if number(speed) not in SPEEDS:
        raise ValueError(f"the speed must be one of {', '.join(str(known) for known in SPEEDS)}")
    if len(frame) != 3 or frame[0] not in "5678" or frame[1] not in "NEO" or frame[2] not in "12":
        raise ValueError("after the speed comes something like 8N1")
    return number(speed), frame


def _filled(settings: Settings, text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return text


_WITHOUT_VALUE = ("debug", "doctor", "help", "version", "json", "use_uuid", "verbose", "vsock")
_READERS: dict[str, Callable[[Settings, str], object]] = {
    "action": lambda _, text: _word(text, ACTIONS),
    "auth": _hash,
    "channel_address": _filled,
    "debug": _debug,
    "delay": lambda _, text: _between(text, 0, 86400),
    "hash": _hash,
    "help": lambda *_: True,
    "ip_family": lambda _, text: _word(text, FAMILIES),
    "ipaddr": _filled,
    "ipport": lambda _, text: _between(text, 1, 65535),
    "doctor": lambda *_: True,
    "json": lambda *_: True,
    "key_file": _filled,
    "multicast_address": _filled,
    "plug": _plug,
    "retrans": lambda _, text: _between(text, 1, 36000),
    "serial_device": _filled,
    "serial_params": _serial_params,
    "timeout": lambda _, text: _between(text, 1, 86400),
    "use_uuid": lambda _, text: number(text or "1") != 0,
    "verbose": lambda *_: True,
    "version": lambda *_: True,
    "vsock": lambda _, text: _between(text or str(HOST_CID), HOST_CID, ANY_CID - 1),
}
