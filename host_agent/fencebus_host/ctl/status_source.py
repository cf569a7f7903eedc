"""Decides which daemon a command asks, and turns its answers into values of the data model."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TypeVar

from fencebus_host.control_client import RUN_FOLDER, SOCKET_NAME, NoDaemon, ask_daemon, follow_daemon, socket_path
from fencebus_host.state_folder import DEFAULT_CONFIG, state_folder
from fencebus_schemas.errors import WireError
from fencebus_schemas.status import EventStatus
from fencebus_schemas.status_plain import from_plain

T = TypeVar("T")

USUAL = RUN_FOLDER / SOCKET_NAME


def socket_of(file: Path | None) -> Path:
    """The socket of the daemon with this configuration; without one, of the daemon that runs here.

    To read a configuration takes longer than all the rest, so it is read only where a look does not find the socket.
    """
    if file is None and USUAL.exists():
        return USUAL
    place = state_folder(file or DEFAULT_CONFIG)
    if place is not None and (path := socket_path(place)).exists():
        return path
    from fencebus_host.config.problems import ConfigError

    try:
        return socket_path(state_dir_of(file))
    except ConfigError:
        if file is not None:
            raise
        return USUAL


def state_dir_of(file: Path | None) -> Path:
    """The state folder of the daemon with this configuration.  Raises ConfigError."""
    from fencebus_host.config.load import find, load

    return load(find(file)).daemon.state_dir


def asked(
    kind: type[T], file: Path | None, name: str, about: Mapping[str, object] | None = None, timeout: float = 5.0
) -> T:
    """The daemon's answer; ``about`` is what the question holds besides its name.

    Raises NoDaemon, also where it makes no sense, and Declined.
    """
    path = socket_of(file)
    return _read(kind, path, ask_daemon(path, name, about, timeout=timeout))


def events_of(file: Path | None, about: Mapping[str, object] | None = None) -> Generator[EventStatus, None, None]:
    """Each event as it comes, until the daemon ends.  Raises as ``asked``."""
    path = socket_of(file)
    for told in follow_daemon(path, "events", about):
        yield _read(EventStatus, path, told)


def _read(kind: type[T], path: Path, told: object) -> T:
    try:
        return from_plain(kind, told)
    except WireError as error:
        raise NoDaemon(path, f"it answered what this version does not read: {error}") from None
