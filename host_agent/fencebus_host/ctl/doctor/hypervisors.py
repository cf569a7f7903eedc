"""Looks at the hypervisors, at the guests' ways to this host, and at who else starts and stops the guests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.convert.conversion import SourceError
from fencebus_host.config.convert.outside_xml import Element, parse_outside
from fencebus_host.config.model import Config, LibvirtSettings, SerialMode, SerialSettings, VsockSettings
from fencebus_host.config.regular_file import read_regular
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd
from fencebus_host.ctl.survey import Guest, Site

_NAME = re.compile(r"<name>([^<]+)</name>")
_DOMAIN_FILE_LIMIT = 1 << 20


def check_hypervisors(config: Config, site: Site) -> Iterator[Finding]:
    """libvirt answers, and VDSM is not in charge."""
    for hypervisor in site.hypervisors:
        if hypervisor.trouble:
            fix = f"systemctl start libvirtd (or virtqemud); virsh -c {hypervisor.uri} list"
            yield bad("libvirt", f"{hypervisor.uri}: {hypervisor.trouble}", fix)
        else:
            running = sum(guest.running for guest in hypervisor.guests)
            yield good("libvirt", f"{hypervisor.uri} answers: {len(hypervisor.guests)} VMs, {running} run")
    if site.vdsm and not isinstance(config.backend, OvirtSettings):
        text = "VDSM (oVirt) manages this host: its VMs must not be killed behind its back"
        yield bad("vdsm", text, 'fence through its manager, backend = "ovirt": docs/ovirt.md')
    if site.corosync and isinstance(config.backend, LibvirtSettings):
        text = (
            "corosync is configured, and fence_virtd fences the VMs of this host alone: one that migrates is not found"
        )
        yield odd("corosync", text, "run fence_virtd on every host; each answers for the VMs that it has")


def check_ways(config: Config, site: Site) -> Iterator[Finding]:
    """Guests have the devices that the serial and vsock listeners need."""
    for listener in config.listeners:
        if isinstance(listener, SerialSettings) and listener.tty is None:
            serial = listener.mode is SerialMode.SERIAL
            yield from _without(site, listener.name, "serial" if serial else "channel")
        elif isinstance(listener, VsockSettings):
            yield from _without(site, listener.name, "vsock")


def _without(site: Site, listener: str, device: str) -> Iterator[Finding]:
    having = {
        "serial": {guest.name for guest in site.guests if guest.serial},
        "channel": {guest.name for guest in site.guests if guest.channel},
        "vsock": {guest.name for guest in site.guests if guest.vsock},
    }
    missing = [guest.name for guest in site.guests if guest.running and guest.name not in having[device]]
    if missing:
        text = f"listener {listener}: no {device} device: {', '.join(missing)}"
        yield odd("device", text, f"add one with virsh edit, if these guests fence through {listener}")


def check_resources(cib: bytes, site: Site, root: Path = Path("/")) -> Iterator[Finding]:
    """VMs that the hosts' own Pacemaker starts again: ``off`` will be undone."""
    try:
        tree = parse_outside(cib, "CIB")
    except SourceError as error:
        yield odd("pacemaker", f"cannot read the hosts' Pacemaker: {error}", "cibadmin --query")
        return
    by_name = {guest.name: guest for guest in site.guests}
    for primitive in _primitives(tree):
        if primitive.attributes.get("type") == "VirtualDomain":
            name = _domain_of(primitive, root)
            if name in by_name:
                yield _undone(by_name[name], primitive.attributes.get("id", "?"))


def _undone(guest: Guest, resource: str) -> Finding:
    text = (
        f"{guest.name} is the resource {resource} of this host's Pacemaker, which starts it again: off will be undone"
    )
    fix = f"fence by reboot alone, or take it out of that Pacemaker's hands: pcs resource unmanage {resource}"
    return odd("restarted", text, fix)


def _primitives(element: Element) -> Iterator[Element]:
    for child in element.children:
        if child.name == "primitive":
            yield child
        yield from _primitives(child)


def _domain_of(primitive: Element, root: Path) -> str:
    """The VM of a VirtualDomain resource: the name in the file that its parameter `config` names."""
    pairs = primitive.all("instance_attributes", "nvpair")
    config = next((pair.attributes.get("value", "") for pair in pairs if pair.attributes.get("name") == "config"), "")
    try:
        content, _ = read_regular(root / config.lstrip("/"), _DOMAIN_FILE_LIMIT)
    except OSError:
        return Path(config).stem
    found = _NAME.search(content.decode("utf-8", "replace"))
    return found.group(1).strip() if found else Path(config).stem
