"""Converts a manager's elements to what they say of VMs, hosts and faults, in the dialects v3 and v4 alike.  Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from fencebus_host.config.backends import ApiVersion
from fencebus_host.routers.ovirt.markup import MarkupError, text_of
from fencebus_schemas.model import Uuid, as_uuid


@dataclass(frozen=True, slots=True)
class VmReading:
    """One VM as a manager describes it."""

    uuid: Uuid
    name: str
    status: str
    """The API's word, in lower case; empty where the manager gives none (an illegal image)."""
    host: str = ""
    """The id of the host on which it runs, or ran when the manager last heard of that host."""
    started: float | None = None
    """When its life began: seconds since 1970 by the manager's clock."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """One host as a manager describes it."""

    name: str
    status: str


def status_of(element: ET.Element) -> str:
    """v3: ``<status><state>up</state></status>``; v4: ``<status>up</status>``."""
    return (text_of(element, "status/state") or text_of(element, "status")).lower()


def vm(element: ET.Element) -> VmReading:
    """The VM that a ``<vm>`` describes.  Raises MarkupError."""
    uuid = as_uuid(element.get("id", ""))
    if element.tag != "vm" or uuid is None:
        raise MarkupError(f"an answer with a <{element.tag[:40]}> where a VM with a UUID is expected")
    host = element.find("host")
    return VmReading(
        uuid=uuid,
        name=element.findtext("name") or "",
        status=status_of(element),
        host=(host.get("id") or "")[:64] if host is not None else "",
        started=seconds_since_1970(text_of(element, "start_time")),
    )


def vms(element: ET.Element) -> tuple[VmReading, ...]:
    """The VMs of a ``<vms>``.  One that says no status takes nothing from the others.  Raises MarkupError."""
    if element.tag != "vms":
        raise MarkupError(f"an answer with a <{element.tag[:40]}> where a list of VMs is expected")
    return tuple(vm(each) for each in element.iterfind("vm"))


def host(element: ET.Element) -> HostReading:
    """The host that a ``<host>`` describes.  Raises MarkupError."""
    if element.tag != "host":
        raise MarkupError(f"an answer with a <{element.tag[:40]}> where a host is expected")
    return HostReading(text_of(element, "name"), status_of(element))


def power_of(action: ET.Element) -> str:
    """What the host's power management said to ``fence_type=status``: ``on``, ``off``, or something else."""
    management = action.find("power_management")
    return status_of(management) if management is not None else ""


def api_version(element: ET.Element) -> ApiVersion:
    """The dialect of the entry point: v3 says its version in attributes, v4 in elements.  Raises MarkupError."""
    version = element.find("product_info/version")
    if element.tag != "api" or version is None:
        raise MarkupError("an entry point that does not say its version: is this the address of a manager?")
    return ApiVersion.V3 if version.get("major") else ApiVersion.V4


def fault_of(element: ET.Element | None) -> str:
    """What went wrong, in the manager's words and language: for people alone, never compared."""
    if element is None:
        return ""
    fault = element if element.tag == "fault" else element.find("fault")
    if fault is None:
        return ""
    parts = [text_of(fault, "reason"), text_of(fault, "detail")]
    return ": ".join(part for part in parts if part)


def has_failed(action: ET.Element) -> bool:
    """True if an action that was answered with 200 says that it failed."""
    return action.tag == "action" and (status_of(action) == "failed" or action.find("fault") is not None)


def seconds_since_1970(text: str) -> float | None:
    """A time of the API (ISO 8601 with its zone); ``None`` for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def http_date(text: str) -> float | None:
    """The second in which an answer was made, by the manager's clock; ``None`` if the header says none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
