"""Converts the stand-in's world to the XML of the API: version 4 in elements, version 3 partly in attributes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime

from tests.managers.world import FaultError, Host, Vm

ERROR_PAGE = b"<html><head><title>Error</title></head><body>Unauthorized</body></html>"
"""What an engine says with a 401, and with a version that it does not know: never XML."""


def entry(version: int, base: str) -> ET.Element:
    """The entry point.  v3 says its version in attributes, v4 in elements (facts: managers, 2)."""
    root = ET.Element("api")
    for name in ("vms", "hosts", "events"):
        ET.SubElement(root, "link", rel=name, href=f"{base}/{name}")
        ET.SubElement(root, "link", rel=f"{name}/search", href=f"{base}/{name}?search={{query}}")
    product = ET.SubElement(root, "product_info")
    _texts(product, name="oVirt Engine", vendor="ovirt.org")
    if version == 3:
        ET.SubElement(product, "version", major="3", minor="6", build="0", revision="0")
        _texts(product, full_version="3.6.0")
    else:
        numbers = ET.SubElement(product, "version")
        _texts(numbers, build="10", full_version="4.4.10.7-1.el8", major="4", minor="4", revision="0")
    return root


def vms(version: int, base: str, found: list[Vm]) -> ET.Element:
    """A list of VMs."""
    root = ET.Element("vms")
    root.extend(vm(version, base, each) for each in found)
    return root


def vm(version: int, base: str, one: Vm) -> ET.Element:
    """One VM."""
    root = ET.Element("vm", href=f"{base}/vms/{one.id}", id=one.id)
    _texts(root, name=one.name, description="a node of a cluster")
    actions = ET.SubElement(root, "actions")
    for name in ("start", "stop", "shutdown"):
        ET.SubElement(actions, "link", rel=name, href=f"{base}/vms/{one.id}/{name}")
    _status(root, version, one.status)
    if one.host:
        ET.SubElement(root, "host", href=f"{base}/hosts/{one.host}", id=one.host)
    # libgovirt refuses a VM without one.
    _texts(ET.SubElement(root, "display"), type="vnc", address="192.0.2.1", port="5900", monitors="1")
    moment = datetime.fromtimestamp(one.started, UTC).isoformat(timespec="milliseconds")
    _texts(root, start_time=moment, memory="1073741824", origin="ovirt")
    return root


def host(version: int, base: str, one: Host) -> ET.Element:
    """One host."""
    root = ET.Element("host", href=f"{base}/hosts/{one.id}", id=one.id)
    _texts(root, name=one.name)
    _status(root, version, one.status)
    return root


def done(version: int, power: str = "") -> ET.Element:
    """An action that was accepted; with what the power management said, if it was asked."""
    root = ET.Element("action")
    if power:
        _status(ET.SubElement(root, "power_management"), version, power)
    _status(root, version, "complete")
    return root


def fault(version: int, error: FaultError, is_action: bool) -> ET.Element:
    """A refusal; that of an action stands inside one (facts: managers 1.5)."""
    root = ET.Element("fault")
    _texts(root, reason=error.reason, detail=error.detail)
    if not is_action:
        return root
    action = ET.Element("action")
    _status(action, version, "failed")
    action.append(root)
    return action


def _status(root: ET.Element, version: int, word: str) -> None:
    """An image that is illegal is no status at all."""
    if not word:
        return
    status = ET.SubElement(root, "status")
    if version == 3:
        _texts(status, state=word)
    else:
        status.text = word


def _texts(root: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(root, name).text = text
