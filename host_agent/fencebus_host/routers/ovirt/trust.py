"""Decides by which certificates a manager is believed: those of a file, or its own CA's, fetched once and pinned."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from fencebus_host.config.backends import ManagerSettings
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.dialect import address

log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets what is at a URL without believing anybody, and so without telling anything."""

FOLDER = "managers"
"""In the state folder: the pinned certificates."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def pin_file(settings: ManagerSettings, state_dir: Path) -> Path:
    """Where the manager's CA is pinned; another address is another pin."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", settings.name)[:64]
    return state_dir / FOLDER / f"{name}-{hashlib.sha256(settings.url.encode()).hexdigest()[:8]}.pem"


def pretty(fingerprint: str) -> str:
    """A fingerprint as other programs print it."""
    return ":".join(re.findall("..", fingerprint.upper()))


def certificate_in(manager: str, content: bytes) -> tuple[str, str]:
    """The one certificate in ``content``, as PEM, and its SHA-256 fingerprint.  Raises ManagerError."""
    found = _PEM.findall(content)
    try:
        (pem,) = found
        der = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    except ValueError:
        raise ManagerError(
            manager, Trouble.UNTRUSTED, "it does not give the certificate of its CA: set ca_file"
        ) from None
    return ssl.DER_cert_to_PEM_cert(der), hashlib.sha256(der).hexdigest()


def believed(manager: str, file: Path) -> ssl.SSLContext:
    """A context in which a server has to show a certificate that those in ``file`` vouch for, with its name in it."""
    try:
        return ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError) as error:
        raise ManagerError(manager, Trouble.UNTRUSTED, f"cannot use the certificates in {file}: {error}") from error


def blind() -> ssl.SSLContext:
    """A context that believes everybody: for fetching a public certificate, and for nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def context(settings: ManagerSettings, state_dir: Path, fetch: Fetch) -> ssl.SSLContext:
    """How the manager is believed; fetches and pins its CA the first time.  Raises ManagerError."""
    if settings.ca_file is not None:
        return believed(settings.name, settings.ca_file)
    file = pin_file(settings, state_dir)
    if not file.exists():
        await _pin(settings, file, fetch)
    return believed(settings.name, file)


async def _pin(settings: ManagerSettings, file: Path, fetch: Fetch) -> None:
    content = await _first_found(settings, fetch)
    pem, fingerprint = certificate_in(settings.name, content)
    if settings.fingerprint and fingerprint != settings.fingerprint:
        text = f"its CA has the fingerprint {pretty(fingerprint)}, not the configured one: somebody stands in between?"
        raise ManagerError(settings.name, Trouble.UNTRUSTED, text)
    try:
        _write(file, pem)
    except OSError as error:
        raise ManagerError(settings.name, Trouble.UNTRUSTED, f"its CA cannot be pinned in {file}: {error}") from error
    log.warning(
        "manager %s: believed from now on by its CA with the SHA-256 fingerprint %s, pinned in %s; compare it, or set "
        "fingerprint or ca_file",
        settings.name,
        pretty(fingerprint),
        file,
    )


async def _first_found(settings: ManagerSettings, fetch: Fetch) -> bytes:
    missing: ManagerError | None = None
    for url in address(settings.url).certificates:
        try:
            return await fetch(url)
        except ManagerError as error:
            if error.trouble is not Trouble.MISSING:
                raise
            missing = error
    text = "it does not give the certificate of its CA: set ca_file"
    raise ManagerError(settings.name, Trouble.UNTRUSTED, text) from missing


def _write(file: Path, text: str) -> None:
    """All of it or nothing: half a pin would lock the daemon out."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(text, encoding="ascii")
    os.replace(new, file)
