"""Decides what a request to a manager looks like: addresses, headers and bodies in API versions 3 and 4.  Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from fencebus_host.config.backends import ApiVersion
from fencebus_schemas.model import Uuid

ENTRY_POINTS = ("/ovirt-engine/api", "/api")
"""Where the API may be; the second one is RHEV-M's before 3.4."""
SCOPE = "ovirt-app-api"
MOST_HITS = 20
"""Of a search by name.  More than one is wrong already; the rest are names that differ in case only."""
_UNSEARCHABLE = frozenset('*"\\')


@dataclass(frozen=True, slots=True)
class Address:
    """Where a manager is."""

    origin: str
    """``https://host:port``."""
    api: tuple[str, ...]
    """Paths at which its API may be, the likely one first."""
    sso: str
    """The path of its sign-on service, which v3 does not have."""

    @property
    def token(self) -> str:
        """Where a token is given out."""
        return f"{self.origin}{self.sso}/oauth/token"

    @property
    def logout(self) -> str:
        """Where a token is given back."""
        return f"{self.origin}{self.sso.removesuffix('/sso')}/services/sso-logout"

    @property
    def certificates(self) -> tuple[str, ...]:
        """Where its own CA's certificate may be."""
        resource = "resource=ca-certificate&format=X509-PEM-CA"
        return (f"{self.origin}/ovirt-engine/services/pki-resource?{resource}", f"{self.origin}/ca.crt")


def address(url: str) -> Address:
    """The places that a configured URL, with or without the path to the API, stands for."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    above = path.removesuffix("/api").rstrip("/") or "/ovirt-engine"
    entries = (path,) if path.endswith("/api") else tuple(path + each for each in ENTRY_POINTS)
    return Address(f"{parts.scheme}://{parts.netloc}", entries, f"{above}/sso")


def password_grant(user: str, password: str) -> dict[str, str]:
    """The form that a token is asked for with."""
    return {"grant_type": "password", "scope": SCOPE, "username": user, "password": password}


def revocation(token: str) -> dict[str, str]:
    """The form that a token is given back with."""
    return {"scope": SCOPE, "token": token}


def headers(version: ApiVersion, correlation: str, user_filter: bool) -> dict[str, str]:
    """What every request says.  v4 decides by itself what an account sees; v3 has to be told (facts: managers 1.2)."""
    said = {"Accept": "application/xml", "Content-Type": "application/xml", "Accept-Language": "en"}
    if version is not ApiVersion.AUTO:
        said["Version"] = version.value
    if correlation:
        said["Correlation-Id"] = correlation[:36]
    if version is ApiVersion.V3:
        # Without it the session, and with it the login, would end with the request.
        said["Prefer"] = "persistent-auth"
        if user_filter:
            said["Filter"] = "true"
    return said


def vm_path(vm: Uuid) -> str:
    """The VM itself: no search."""
    return f"/vms/{vm}"


def is_searchable(name: str) -> bool:
    """False for a name that the search would take for a pattern, or for more than a name."""
    return bool(name) and name.isprintable() and not _UNSEARCHABLE & set(name) and len(name) <= 255


def search_path(version: ApiVersion, name: str) -> str:
    """The VMs called ``name``.  Engines compare without case unless they are told otherwise (facts: managers 1.3)."""
    wanted = "search=" + quote(f'name="{name}"', safe="")
    if version is ApiVersion.V3:
        return f"/vms;case_sensitive=true;max={MOST_HITS}?{wanted}"
    return f"/vms?{wanted}&case_sensitive=true&max={MOST_HITS}"


def stop_body(reason: str) -> bytes:
    """A stop, even if a backup runs."""
    action = ET.Element("action")
    ET.SubElement(action, "force").text = "true"
    ET.SubElement(action, "reason").text = reason
    return ET.tostring(action)


def start_body() -> bytes:
    """A plain start."""
    return b"<action/>"


def fence_body(fence_type: str) -> bytes:
    """Something about a host's power: ``status`` or ``restart``.  ``manual`` is a promise that only people can give."""
    if fence_type not in ("status", "restart"):
        raise ValueError(fence_type)
    action = ET.Element("action")
    ET.SubElement(action, "fence_type").text = fence_type
    return ET.tostring(action)
