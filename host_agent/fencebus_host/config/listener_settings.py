"""Turns the section of one listener into its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fencebus_host.config import key_table as keys
from fencebus_host.config.addresses import family_and_address, multicast_family_and_address
from fencebus_host.config.key import Section
from fencebus_host.config.key_files import with_keys
from fencebus_host.config.model import (
    Digest,
    KeyedSettings,
    ListenerSettings,
    MulticastSettings,
    SerialSettings,
    TcpSettings,
    TtySettings,
    VsockSettings,
)
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.section import Reading


@dataclass(frozen=True, slots=True)
class Frame:
    """What a listener's section does not say itself."""

    instance: str
    where: Where
    request_timeout: float
    used: bool
    """Whether the listener is to run now; if not, its section is checked, but its key is left alone."""
    asked_for: bool
    """Whether the administrator named this listener; only then is a missing default key an error."""


Build = Callable[[Reading, Frame, Problems], ListenerSettings]


def _tcp(reading: Reading, frame: Frame, problems: Problems) -> TcpSettings:
    _warn_of_auth(reading, problems)
    family, address = family_and_address(reading, frame.where, problems)
    settings = TcpSettings(
        instance=frame.instance,
        where=frame.where,
        request_timeout=frame.request_timeout,
        key_files=reading.get(keys.KEY_FILE),
        hash=reading.get(keys.HASH),
        auth=reading.get(keys.AUTH),
        port=reading.get(keys.PORT),
        family=family,
        address=address,
    )
    return replace(settings, keys=_keys(settings, reading, frame, problems))


def _multicast(reading: Reading, frame: Frame, problems: Problems) -> MulticastSettings:
    family, address = multicast_family_and_address(reading, frame.where, problems)
    settings = MulticastSettings(
        instance=frame.instance,
        where=frame.where,
        request_timeout=frame.request_timeout,
        key_files=reading.get(keys.KEY_FILE),
        hash=reading.get(keys.HASH),
        auth=reading.get(keys.AUTH),
        port=reading.get(keys.PORT),
        family=family,
        address=address,
        interface=reading.get(keys.INTERFACE),
        local_guests_only=reading.get(keys.LOCAL_GUESTS_ONLY),
    )
    return replace(settings, keys=_keys(settings, reading, frame, problems))


def _vsock(reading: Reading, frame: Frame, problems: Problems) -> VsockSettings:
    _warn_of_auth(reading, problems)
    settings = VsockSettings(
        instance=frame.instance,
        where=frame.where,
        request_timeout=frame.request_timeout,
        key_files=reading.get(keys.KEY_FILE),
        hash=reading.get(keys.HASH),
        auth=reading.get(keys.AUTH),
        port=reading.get(keys.VSOCK_PORT),
    )
    settings = replace(settings, keys=_keys(settings, reading, frame, problems))
    if settings.needs_key and not frame.asked_for:
        # Design, section 9: without a file and a key vsock is open. The kernel vouches for the guest's CID.
        return replace(settings, hash=Digest.NONE, auth=Digest.NONE)
    return settings


def _serial(reading: Reading, frame: Frame, problems: Problems) -> SerialSettings:
    return SerialSettings(
        instance=frame.instance,
        where=frame.where,
        request_timeout=frame.request_timeout,
        uri=reading.get(keys.SERIAL_URI),
        path=reading.get(keys.SERIAL_PATH),
        mode=reading.get(keys.MODE),
        tty=_tty(reading, frame, problems),
    )


def _tty(reading: Reading, frame: Frame, problems: Problems) -> TtySettings | None:
    device, vm = reading.get(keys.DEVICE), reading.get(keys.LINE_VM)
    if (device is None) != (vm is None):
        missing = "vm" if vm is None else "device"
        text = f"a serial port of the host needs both `device` and `vm`; `{missing}` is missing"
        problems.error(frame.where, "incomplete", text, f"add the {missing}")
    if device is None or vm is None:
        return None
    speed, data_bits, parity, stop_bits = reading.get(keys.PARAMS)
    return TtySettings(device=device, vm=vm, speed=speed, data_bits=data_bits, parity=parity, stop_bits=stop_bits)


BUILDERS: dict[str, tuple[Section, Build]] = {
    "tcp": (keys.TCP, _tcp),
    "multicast": (keys.MULTICAST, _multicast),
    "vsock": (keys.VSOCK, _vsock),
    "serial": (keys.SERIAL, _serial),
}


def _keys(settings: KeyedSettings, reading: Reading, frame: Frame, problems: Problems) -> tuple[bytes, ...]:
    if not frame.used or not settings.uses_key:
        return ()
    configured = reading.where(keys.KEY_FILE)
    may_be_missing = configured is None and not frame.asked_for
    return with_keys(settings.key_files, configured or frame.where, may_be_missing, problems)


def _warn_of_auth(reading: Reading, problems: Problems) -> None:
    """On tcp and vsock the C program stores ``auth`` as ``hash`` (tcp.c, vsock.c; facts 6.2 no 17)."""
    auth, where = reading.get(keys.AUTH), reading.where(keys.AUTH)
    if where is None or auth is Digest.SHA256:
        return
    message = (
        f'`auth = "{auth.value}"` is the challenge and response here, and the weakest hash of a request is'
        f' `hash = "{reading.get(keys.HASH).value}"`; the C program took it as the weakest hash, "{auth.value}",'
        " and always made a challenge with sha256"
    )
    hint = f'for the C program\'s meaning write hash = "{auth.value}"; auth = "sha256";'
    problems.warning(where, "auth-is-not-hash", message, hint)
