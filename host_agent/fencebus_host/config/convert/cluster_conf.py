"""Turns a cluster.conf of cman into our configuration (its <fence_xvmd/>) and into fence devices for Pacemaker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fencebus_host.config.convert import xvmd
from fencebus_host.config.convert.conversion import (
    Conversion,
    GuestDevice,
    GuestNode,
    Remark,
    SourceError,
    Weight,
)
from fencebus_host.config.convert.outside_xml import Element, parse_outside
from fencebus_host.config.convert.xvmd import Xvmd
from fencebus_host.config.problems import Where

AGENTS = ("fence_xvm", "fence_virt")
_SAME = (
    "auth",
    "hash",
    "key_file",
    "multicast_address",
    "ip_family",
    "retrans",
    "timeout",
    "delay",
    "serial_device",
    "serial_params",
    "channel_address",
    "ipport",
    "ipaddr",
    "debug",
)
_VM_NAMES = ("domain", "plug")
_SILENT = ("name", "agent", "port", "nodename", "use_uuid", *_VM_NAMES)


def convert(content: bytes, source: str, command_line: Xvmd | None = None) -> Conversion:
    """Everything in the file that concerns us; SourceError if that is nothing.

    ``command_line``: how fence_xvmd was started, of which cluster.conf overrides what it says too.
    """
    root = parse_outside(content, source)
    if root.name != "cluster":
        raise SourceError(source, f"it is no cluster.conf: its root is <{root.name}>")
    daemon = _daemon(root, source, command_line)
    guests = _Guests(root, source)
    if daemon is None and not guests.devices:
        raise SourceError(source, "it has neither <fence_xvmd/> nor a device of fence_xvm or fence_virt")
    host = Conversion() if daemon is None else _host(root, daemon)
    return replace(
        host,
        remarks=(*host.remarks, *guests.remarks),
        devices=guests.devices,
        two_nodes=guests.two_nodes,
    )


def _daemon(root: Element, source: str, command_line: Xvmd | None) -> Xvmd | None:
    element = root.first("fence_xvmd")
    if element is None or (command_line is not None and command_line.has("without_cluster_conf")):
        return command_line
    found = Xvmd(tuple(element.attributes.items()), Where(source, element.line))
    return found if command_line is None else command_line.overridden_by(found)


def _host(root: Element, daemon: Xvmd) -> Conversion:
    return xvmd.convert(daemon, [node.attributes.get("name", "") for node in root.all("clusternodes", "clusternode")])


@dataclass(frozen=True, slots=True)
class _Use:
    """One <device/> of one node's method."""

    node: str
    level: int
    element: Element


class _Guests:
    """The fence devices of the guests' cluster, and what is to be said about them."""

    def __init__(self, root: Element, source: str) -> None:
        self._source = source
        self.remarks: list[Remark] = []
        cman = root.first("cman")
        nodes = root.all("clusternodes", "clusternode")
        self.two_nodes = (cman is not None and cman.attributes.get("two_node") == "1") or len(nodes) == 2
        uses = [use for node in nodes for use in _uses(node)]
        devices = [one for one in root.all("fencedevices", "fencedevice") if one.attributes.get("agent") in AGENTS]
        self.devices = tuple(self._device(device, uses) for device in devices)
        self._tell_of_others(root, uses)

    def _device(self, device: Element, uses: list[_Use]) -> GuestDevice:
        name = device.attributes.get("name", device.attributes["agent"])
        mine = [use for use in uses if use.element.attributes.get("name") == name]
        nodes = tuple(GuestNode(use.node, self._vm(use, device), use.level) for use in mine)
        if not nodes:
            self._say(Weight.DECIDE, device, f"no node uses the device `{name}`")
        return GuestDevice(name, device.attributes["agent"], tuple(self._options(device, mine)), nodes)

    def _vm(self, use: _Use, device: Element) -> str:
        """The VM of one node: `domain`, or in files of cluster-3 `port`; in those of cluster-2 that was the IP port."""
        for name in (*_VM_NAMES, "port"):
            value = use.element.attributes.get(name)
            if value and (name != "port" or not _is_ip_port(value) or "domain" not in device.attributes):
                return value
        found = device.attributes.get("domain")
        if not found:
            self._say(Weight.DECIDE, use.element, f"it names no VM for {use.node}; its node name is taken")
        return found or use.node

    def _options(self, device: Element, uses: list[_Use]) -> Iterator[tuple[str, str]]:
        of_nodes = [(name, value) for use in uses for name, value in use.element.attributes.items() if name in _SAME]
        merged = {**device.attributes, **dict(of_nodes)}
        for name in sorted({name for name, value in of_nodes if value != merged[name]}):
            text = f"the nodes differ in `{name}`, and a device of Pacemaker has one: {merged[name]} is taken"
            self._say(Weight.DECIDE, device, text)
        for name, value in merged.items():
            if name in _SAME:
                yield name, value
            elif name not in _SILENT:
                self._say(Weight.DROPPED, device, f"`{name}` is no option of {device.attributes['agent']} today")
        yield from self._port(device)
        if "use_uuid" in merged:
            self._say(Weight.DROPPED, device, "`use_uuid`: a target that looks like a UUID is one")

    def _port(self, device: Element) -> Iterator[tuple[str, str]]:
        port = device.attributes.get("port")
        if port is not None and _is_ip_port(port):
            text = f"`port = {port}` was the IP port and is `ipport` today; `port` now means the VM"
            self._say(Weight.CHANGED, device, text)
            yield "ipport", port

    def _tell_of_others(self, root: Element, uses: list[_Use]) -> None:
        names = {device.name for device in self.devices}
        others = sorted({use.element.attributes.get("name", "?") for use in uses} - names)
        if others and self.devices:
            text = f"other fence devices are left to you: {', '.join(others)}"
            self.remarks.append(Remark(Weight.DECIDE, text, Where(self._source)))
        daemon = root.first("fence_daemon")
        if daemon is not None and self.devices:
            for name in sorted({"post_join_delay", "post_fail_delay"} & set(daemon.attributes)):
                self._say(Weight.DROPPED, daemon, f"`{name}`: Pacemaker has no such delay; see pcmk_delay_max")

    def _say(self, weight: Weight, element: Element, text: str) -> None:
        self.remarks.append(Remark(weight, text, Where(self._source, element.line)))


def _uses(node: Element) -> Iterator[_Use]:
    for level, method in enumerate(node.all("fence", "method"), 1):
        for device in method.all("device"):
            yield _Use(node.attributes.get("name", "?"), level, device)


def _is_ip_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
