"""Turns a cluster.conf of cman into our configuration (its <fence_xvmd/>) and into fence devices for Pacemaker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
_HINTS = {"delay": ' (for one node alone: pcmk_delay_base="NODE:5s;OTHER:0s" in its place)'}
_ACTIONS = ("action", "option")
_SILENT = ("name", "agent", "port", "nodename", "use_uuid", *_VM_NAMES, *_ACTIONS)


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
        remarks=(*host.remarks, *_passed_over(root, source, command_line), *guests.remarks),
        devices=guests.devices,
        two_nodes=guests.two_nodes,
    )


def _daemon(root: Element, source: str, command_line: Xvmd | None) -> Xvmd | None:
    element = root.first("fence_xvmd")
    if element is None or (command_line is not None and _ignores_cluster_conf(command_line)):
        return command_line
    read = tuple((name, value) for name, value in element.attributes.items() if name in xvmd.ATTRIBUTES)
    unread = tuple(name for name in element.attributes if name not in xvmd.ATTRIBUTES)
    found = Xvmd(read, Where(source, element.line), unread)
    return found if command_line is None else command_line.overridden_by(found)


def _ignores_cluster_conf(command_line: Xvmd) -> bool:
    """-X says so, and -L implies it."""
    return command_line.has("without_cluster_conf") or command_line.has("local")


def _passed_over(root: Element, source: str, command_line: Xvmd | None) -> tuple[Remark, ...]:
    found = root.all("fence_xvmd")
    said = [(each, "a second <fence_xvmd/> was never read: the first one counts") for each in found[1:]]
    if command_line is not None and _ignores_cluster_conf(command_line):
        said += [(each, "<fence_xvmd/> did not count: with -X or -L the command line alone did") for each in found[:1]]
    return tuple(Remark(Weight.DROPPED, text, Where(source, each.line)) for each, text in said)


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
        """The VM of one node; what names another one beside it is told."""
        found = list(_vm_names(use.element, device))
        if not found:
            self._say(Weight.DECIDE, use.element, f"it names no VM for {use.node}; its node name is taken")
            return use.node
        for name, value in found[1:]:
            if value != found[0][1]:
                text = f"`{name}` names {value} for {use.node}, and `{found[0][0]}` names {found[0][1]}, which is taken"
                self._say(Weight.DECIDE, use.element, text)
        return found[0][1]

    def _options(self, device: Element, uses: list[_Use]) -> Iterator[tuple[str, str]]:
        of_nodes = [(name, value) for use in uses for name, value in use.element.attributes.items()]
        merged = {**device.attributes, **dict(of_nodes)}
        self._tell_of_some({name for name, _ in of_nodes if name in _SAME} - set(device.attributes), device, uses)
        for name in sorted({name for name, value in of_nodes if name in _SAME and value != merged[name]}):
            text = f"the nodes differ in `{name}`, and a device of Pacemaker has one: {merged[name]} is taken"
            self._say(Weight.DECIDE, device, text)
        for name, value in merged.items():
            if name in _SAME:
                yield name, value
            elif name not in _SILENT:
                self._say(Weight.DROPPED, device, f"`{name}` is no option of {device.attributes['agent']} today")
        yield from self._port(device, uses)
        yield from self._action(device, uses)
        if "use_uuid" in merged:
            self._say(Weight.DROPPED, device, "`use_uuid`: a target that looks like a UUID is one")

    def _tell_of_some(self, names: Iterable[str], device: Element, uses: list[_Use]) -> None:
        for name in sorted(names):
            others = ", ".join(use.node for use in uses if name not in use.element.attributes)
            if others:
                text = f"`{name}` stood at some nodes alone, and a device of Pacemaker has it for all: {others} too"
                self._say(Weight.DECIDE, device, f"{text}{_HINTS.get(name, '')}")

    def _port(self, device: Element, uses: list[_Use]) -> Iterator[tuple[str, str]]:
        elements = (device, *(use.element for use in uses if not _port_is_vm(use.element, device)))
        found = dict.fromkeys(port for each in elements if _is_ip_port(port := each.attributes.get("port", "")))
        for port in found:
            text = f"`port = {port}` was the IP port and is `ipport` today; `port` now means the VM"
            self._say(Weight.CHANGED, device, text)
        if len(found) > 1:
            self._say(Weight.DECIDE, device, f"it has several IP ports ({', '.join(found)}); the first is taken")
        yield from [("ipport", port) for port in found][:1]

    def _action(self, device: Element, uses: list[_Use]) -> Iterator[tuple[str, str]]:
        """Pacemaker asks for a reboot unless told otherwise: a node that fenced left off would come back."""
        elements = [device, *(use.element for use in uses)]
        asked = [(name, each.attributes.get(name, "").lower()) for each in elements for name in _ACTIONS]
        for name, value in dict.fromkeys((name, value) for name, value in asked if value):
            weight, text = _about_action(name, value)
            self._say(weight, device, text)
        wanted = dict.fromkeys(_action_of(each, device) for each in elements[1:] or elements)
        if "off" in wanted:
            if len(wanted) > 1:
                text = (
                    "some nodes are to be off and others rebooted; a device of Pacemaker has one action: off is taken"
                )
                self._say(Weight.DECIDE, device, text)
            yield "pcmk_reboot_action", "off"

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


def _vm_names(use: Element, device: Element) -> Iterator[tuple[str, str]]:
    """What may name the VM, the first of them counts: the node's own attributes before those that all nodes share."""
    for element in (use, device):
        for name in _VM_NAMES:
            if element.attributes.get(name):
                yield name, element.attributes[name]
        port = element.attributes.get("port")
        if port and (_port_is_vm(use, device) if element is use else not _is_ip_port(port)):
            yield "port", port


def _action_of(use: Element, device: Element) -> str:
    """What a node's fence did; a reboot, if nothing is said."""
    said = (each.attributes.get(name, "").lower() for each in (use, device) for name in _ACTIONS)
    return next((text for text in said if text in ("off", "reboot")), "reboot")


def _about_action(name: str, value: str) -> tuple[Weight, str]:
    if value == "off":
        return Weight.KEPT, f"`{name} = off` is `pcmk_reboot_action=off`: Pacemaker asks for a reboot otherwise"
    if value == "reboot":
        return Weight.KEPT, f"`{name} = reboot` is what Pacemaker asks for by itself"
    return Weight.DECIDE, f"`{name} = {value}` fences nobody; it is left out"


def _port_is_vm(use: Element, device: Element) -> bool:
    """A node's `port` is its VM in files of cluster-3; in those of cluster-2 `domain` was, and `port` an IP port."""
    named = any(element.attributes.get(name) for element in (use, device) for name in _VM_NAMES)
    return not (named and _is_ip_port(use.attributes.get("port", "")))


def _is_ip_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
