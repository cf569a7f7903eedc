"""Decides which managers are asked, from the sections `ovirt` and `rhevm`, and reads their credentials."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from fencebus_host.config import ovirt_keys as keys
from fencebus_host.config.backends import Credentials, ManagerSettings, OvirtSettings
from fencebus_host.config.key import Key
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.regular_file import read_regular
from fencebus_host.config.section import Reading

T = TypeVar("T")

MOST_BYTES = 4096
"""Of a credentials file."""


def ovirt(kind: str, reading: Reading, where: Where | None) -> OvirtSettings:
    """The managers of one section: its `manager` sections, else the one that its own keys describe.

    What a `manager` section does not say is taken from the section around it.  Files are not read yet.
    """
    if not reading.written and where is None:
        return OvirtSettings(kind=kind)
    inner = [(item.value or "", Reading(item, keys.MANAGER, reading.problems)) for item in reading.inner("manager")]
    if inner and (place := reading.where(keys.URL)):
        reading.problems.error(place, "stray-url", "`url` belongs into one of the `manager` sections here")
    found = [_manager(name, each, reading) for name, each in inner or [("", reading)]]
    managers = tuple(manager for manager in found if manager is not None)
    names = [manager.name for manager in managers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reading.problems.error(reading.place, "same-name", f"two managers are called `{name}`", 'manager = "other" {')
    return OvirtSettings(kind=kind, where=where, managers=managers)


def _manager(name: str, own: Reading, around: Reading) -> ManagerSettings | None:
    def said(key: Key[T]) -> T:
        return (own if own.where(key) else around).get(key)

    url, file = own.get(keys.URL), said(keys.CREDENTIALS_FILE)
    for key, value in ((keys.URL, url), (keys.CREDENTIALS_FILE, file)):
        if value is None and not own.where(key):
            own.problems.error(own.place, "missing-key", f"a manager needs `{key.name}`", f'{key.name} = "...";')
    if url is None or file is None:
        return None
    return ManagerSettings(
        name=name or urlsplit(url).hostname or url,
        url=url,
        credentials_file=file,
        ca_file=said(keys.CA_FILE),
        fingerprint=said(keys.FINGERPRINT),
        api_version=said(keys.API_VERSION),
        filter=said(keys.FILTER),
        host_fencing=said(keys.HOST_FENCING),
    )


def with_credentials(settings: OvirtSettings, problems: Problems) -> OvirtSettings:
    """The settings with what stands in the credentials files; what is wrong with a file is reported."""
    where = settings.where or Where("")
    managers = [replace(one, credentials=_credentials(one, where, problems)) for one in settings.managers]
    return replace(settings, managers=tuple(managers))


def _credentials(manager: ManagerSettings, where: Where, problems: Problems) -> Credentials | None:
    file = manager.credentials_file
    try:
        content, status = read_regular(file, MOST_BYTES + 1)
    except OSError as error:
        problems.error(where, "bad-credentials", f"cannot read the credentials {file}: {error.strerror or error}")
        return None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid not in (0, os.geteuid()):
        # More than a warning, unlike a shared key: this password opens the manager from anywhere.
        text = f"others than its owner may use the credentials {file}, or their owner is somebody else"
        problems.error(where, "open-credentials", text, f"chown root {file}; chmod 600 {file}")
        return None
    found = parse_credentials(content)
    if found is None:
        text = f"the credentials {file} need two lines: `user = NAME@PROFILE` and `password = WORD`"
        problems.error(where, "bad-credentials", text)
    return found


def parse_credentials(content: bytes) -> Credentials | None:
    """What the lines ``user = ...`` and ``password = ...`` say; ``None`` if they do not, or if there is more.

    Blanks around a value do not count; ``#`` begins a comment only at the beginning of a line.
    """
    try:
        lines = [line.strip() for line in content.decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        return None
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    said = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if len(content) > MOST_BYTES or len(pairs) != 2 or set(said) != {"user", "password"} or not all(said.values()):
        return None
    return Credentials(said["user"], said["password"])
