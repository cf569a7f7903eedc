"""The part of the table of keys that concerns oVirt and RHEV-M managers, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from fencebus_host.config import values
from fencebus_host.config.backends import ApiVersion, HostFencing
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.values import BadValueError

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def manager_url(value: str) -> str:
    """A manager's address, without the slash at its end.  Plain HTTP would send the password to everybody."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise BadValueError(f'must be a URL, not "{value}"') from None
    if parts.scheme != "https" or not parts.hostname or port == 0 or not value.isprintable() or " " in value:
        raise BadValueError(f'must be a URL that begins with https://, not "{value}"')
    if parts.username is not None or parts.query or parts.fragment:
        raise BadValueError("must hold neither a user nor a query: the user stands in the credentials file")
    return value.rstrip("/")


def fingerprint(value: str) -> str:
    """A SHA-256 fingerprint as programs print it, with or without colons; lower case without colons."""
    plain = value.replace(":", "").replace(" ", "").lower()
    if plain and not _FINGERPRINT.fullmatch(plain):
        raise BadValueError("must be a SHA-256 fingerprint: 64 hexadecimal digits")
    return plain


URL: Key[str | None] = Key(
    "url",
    manager_url,
    None,
    "none; required",
    "The manager: `https://HOST`, or with the path to its API behind it.",
    KnownBy.OURS,
)
CREDENTIALS_FILE: Key[Path | None] = Key(
    "credentials_file",
    values.absolute_path,
    None,
    "none; required",
    "A file that only its owner may read, with two lines: `user = NAME@PROFILE` and `password = WORD`.",
    KnownBy.OURS,
)
CA_FILE: Key[Path | None] = Key(
    "ca_file",
    values.absolute_path,
    None,
    "the manager's CA, fetched once and pinned",
    "The CA certificates, in PEM, that the manager is believed by.",
    KnownBy.OURS,
)
FINGERPRINT = Key(
    "fingerprint",
    fingerprint,
    "",
    "none",
    "Without `ca_file`: the SHA-256 fingerprint that the fetched CA must have; else the first one counts.",
    KnownBy.OURS,
)
API_VERSION = Key(
    "api_version",
    values.one_of(ApiVersion),
    ApiVersion.AUTO,
    "auto",
    "The manager's REST API: 3, 4, or auto to ask it.",
    KnownBy.OURS,
)
FILTER = Key(
    "filter",
    values.switch,
    False,
    "0",
    "1: at a manager with API 3, the account is a user's and not an administrator's.",
    KnownBy.OURS,
)
HOST_FENCING = Key(
    "host_fencing",
    values.one_of(HostFencing),
    HostFencing.NO,
    "no",
    "When the manager lost the VM's host: no (wait), status (ask for its power), restart (it, with all its VMs).",
    KnownBy.OURS,
)

_KEYS: tuple[Key[object], ...] = (
    URL,
    CREDENTIALS_FILE,
    CA_FILE,
    FINGERPRINT,
    API_VERSION,
    FILTER,
    HOST_FENCING,
)
_ONE = 'One of several managers: `manager = "east" { ... }`. What it leaves out is taken from the section around it.'
OVIRT = Section("backends/ovirt", "VMs that an oVirt manager keeps.", _KEYS, KnownBy.OURS, ("manager",))
RHEVM = Section("backends/rhevm", "The old name of `ovirt`: VMs that RHEV-M keeps.", _KEYS, KnownBy.OURS, ("manager",))
OVIRT_MANAGER = Section("backends/ovirt/manager", _ONE, _KEYS, KnownBy.OURS)
RHEVM_MANAGER = Section("backends/rhevm/manager", _ONE, _KEYS, KnownBy.OURS)
MANAGER = OVIRT_MANAGER
