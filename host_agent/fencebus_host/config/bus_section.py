"""Decides how this host takes part in a bus, from the section `qmf` or its older names, and reads the hosts' keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from fencebus_host.config import bus_keys as keys
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.key_files import with_keys
from fencebus_host.config.model import KeyedSettings, LibvirtSettings, ListenerSettings
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.section import Reading


def bus(kind: str, port: int | None, libvirt: LibvirtSettings, reading: Reading, where: Where | None) -> QmfSettings:
    """The settings of one section; ``port`` is that of a broker that the old keys name, ``None`` if ``kind`` has none
    of these.  Files are not read yet.
    """
    settings = QmfSettings(kind=kind, where=where, libvirt=libvirt)
    if not reading.written and where is None:
        return settings
    if len(libvirt.uris) > 1:
        text = f"with `{kind}` a host has one libvirt, not {len(libvirt.uris)}"
        reading.problems.error(where or reading.place, "several-libvirts", text, "leave out uri1, uri2, ...")
    settings = replace(
        settings,
        url=_url(port, reading, where),
        key_files=reading.get(keys.KEY_FILE),
        domain=reading.get(keys.DOMAIN),
        trusted_users=reading.get(keys.TRUSTED_USERS),
        ca_file=reading.get(keys.CA_FILE),
        cert_file=reading.get(keys.CERT_FILE),
        certkey_file=reading.get(keys.CERTKEY_FILE),
    )
    if bool(settings.cert_file) != bool(settings.certkey_file):
        text = "`cert_file` and `certkey_file` need each other"
        reading.problems.error(reading.place, "half-certificate", text)
    if port is None:
        return settings
    if reading.get(keys.GSSAPI):
        text = "GSSAPI is not spoken here: the broker has to let this host in by a password, a certificate or as it is"
        reading.problems.warning(reading.where(keys.GSSAPI) or reading.place, "no-gssapi", text, "see docs/bus.md")
    return replace(settings, service=reading.get(keys.SERVICE), gssapi=reading.get(keys.GSSAPI))


def _url(port: int | None, reading: Reading, where: Where | None) -> str:
    url = reading.get(keys.URL)
    if url is None:
        return _old_url(port, reading) if port is not None else _missing(reading, where)
    for key in keys.BROKER if port is not None else ():
        if place := reading.where(key):
            reading.problems.error(place, "stray-key", f"`url` says already what `{key.name}` says")
    return url


def _missing(reading: Reading, where: Where | None) -> str:
    if not reading.where(keys.URL):  # what is there and wrong was told
        place = reading.place if reading.written else where or reading.place
        reading.problems.error(place, "missing-key", "which bus?", 'qmf { url = "amqp://USER:PASSWORD@BROKER"; }')
    return ""


def _old_url(port: int, reading: Reading) -> str:
    """qpidd speaks AMQP 0-10, as the C program did, and 1.0, as we do, on the same port."""
    host, user = reading.get(keys.HOST), reading.get(keys.USERNAME)
    name = f"[{host}]" if ":" in host else host
    return f"amqp1://{quote(user, safe='')}{'@' if user else ''}{name}:{reading.get(keys.PORT) or port}"


def with_bus_keys(settings: QmfSettings, listeners: Iterable[ListenerSettings], problems: Problems) -> QmfSettings:
    """The settings with what the key files hold.  S10: a file that is missing, unreadable or empty is a mistake, and so
    is a key that guests have: whoever has it may order any host to kill.
    """
    where = settings.where or Where("")
    found = with_keys(settings.key_files, where, False, problems)
    for listener in listeners:
        if isinstance(listener, KeyedSettings) and not set(found).isdisjoint(listener.keys):
            text = f"the hosts' key is also that of listener {listener.name}: every guest has it"
            problems.error(where, "guests-key", text, f"make another one: {settings.key_files[0]}")
    return replace(settings, keys=found)
