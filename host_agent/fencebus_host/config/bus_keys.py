"""The part of the table of keys that concerns hosts on an AMQP bus, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path

from fencebus_agent.bus_at import check
from fencebus_host.config import values
from fencebus_host.config.bus_settings import DEFAULT_BUS_KEY
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.values import BadValueError
from fencebus_schemas.bus_url import BadBusUrl

HIDDEN = "***"
"""Takes the place of a password wherever settings are shown."""
_PASSWORD = re.compile(r"(://[^/,:]*):[^/,]*@")
"""Greedy: of a password with an "@" that is not written as %40 nothing may be left."""
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def bus_urls(value: str) -> str:
    """One or more URLs with commas in between, of one kind."""
    try:
        check(value)
    except BadBusUrl as error:
        raise BadValueError(f"of {error}") from None
    if f":{HIDDEN}@" in value:
        raise BadValueError(f"has {HIDDEN} in the place of a password, as it is shown by `fence_virtctl config show`")
    return value


def domain(value: str) -> str:
    """A word that can stand between the dots of an exchange's name."""
    if not _DOMAIN.fullmatch(value):
        raise BadValueError(f'must be letters, digits, "-" and "_", at most 64, not "{value}"')
    return value


def users(value: str) -> tuple[str, ...]:
    """Names of users with commas in between, in the spelling of the broker."""
    return tuple(name for name in (part.strip() for part in value.split(",")) if name)


def without_password(urls: str) -> str:
    """The URLs as they may be shown."""
    return _PASSWORD.sub(rf"\1:{HIDDEN}@", urls)


_PORT = values.whole_number(1, 65535)

URL: Key[str | None] = Key(
    "url",
    bus_urls,
    None,
    "none; required",
    "The broker, `amqp://USER:PASSWORD@HOST`; or several with commas between them, tried in turn. Also `amqps`, "
    "`amqp1`, `amqp1s`, and `peers://HOST1,HOST2`.",
    KnownBy.OURS,
)
KEY_FILE: Key[tuple[Path, ...]] = Key(
    "key_file",
    values.paths,
    (DEFAULT_BUS_KEY,),
    str(DEFAULT_BUS_KEY),
    "The key that the hosts share, never the guests'; or several: the first signs, all verify.",
    KnownBy.OURS,
)
DOMAIN = Key(
    "domain", domain, "default", "default", "The QMF domain: hosts of another one are not heard.", KnownBy.OURS
)
TRUSTED_USERS: Key[tuple[str, ...]] = Key(
    "trusted_users",
    users,
    (),
    "none",
    "Users of the broker whose calls from a QMF console count, with commas between them.",
    KnownBy.OURS,
)
CA_FILE: Key[Path | None] = Key(
    "ca_file",
    values.absolute_path,
    None,
    "the system's authorities",
    "The CA certificates, in PEM, that the broker is believed by.",
    KnownBy.OURS,
)
CERT_FILE: Key[Path | None] = Key(
    "cert_file", values.absolute_path, None, "none", "This host's certificate, in PEM, for the broker.", KnownBy.OURS
)
CERTKEY_FILE: Key[Path | None] = Key(
    "certkey_file", values.absolute_path, None, "none", "The private key of `cert_file`, in PEM.", KnownBy.OURS
)
_OURS: tuple[Key[object], ...] = (URL, KEY_FILE, DOMAIN, TRUSTED_USERS, CA_FILE, CERT_FILE, CERTKEY_FILE)

HOST = Key("host", values.text, "127.0.0.1", "127.0.0.1", "The broker's host; spoken to as `amqp1://HOST:PORT`.")
PORT: Key[int | None] = Key("port", _PORT, None, "5672; libvirt-qpid: 49000", "The broker's port.")
USERNAME = Key("username", values.any_text, "", "none", "The user at the broker.")
SERVICE = Key("service", values.any_text, "", "none", "The SASL service name.")
GSSAPI = Key("gssapi", values.switch, False, "0", "1: log in by GSSAPI.")
BROKER: tuple[Key[object], ...] = (HOST, PORT, USERNAME)
"""The old spelling of a URL."""

QMF = Section("backends/qmf", "VMs of all hosts on an AMQP bus.", _OURS, KnownBy.OURS)
LIBVIRT_QMF = Section(
    "backends/libvirt-qmf", "The old name of `qmf`, with the old keys.", (*BROKER, SERVICE, GSSAPI, *_OURS)
)
LIBVIRT_QPID = Section("backends/libvirt-qpid", "An older name of `libvirt-qmf`.", (*BROKER, SERVICE, GSSAPI, *_OURS))
SECTIONS = (QMF, LIBVIRT_QMF, LIBVIRT_QPID)
