"""Turns fence devices into the commands that create them in the guests' Pacemaker, for pcs and for crm."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fencebus_host.config.convert.conversion import GuestDevice, GuestNode

MARGIN = 30
"""Seconds that Pacemaker waits longer than the agent, so that the reason of a failure arrives before it gives up."""
MONITOR_MARGIN = 10
DELAY_MAX = "10s"
"""For two nodes: whose request is delayed by chance less wins; else both might die."""


_HARMLESS = re.compile(r"[\w.+-]+")


@dataclass(frozen=True, slots=True)
class Lines:
    """Commands for one tool; ``#`` begins what is said about them and what is only an example."""

    tool: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def lines_for(devices: Sequence[GuestDevice], two_nodes: bool) -> tuple[Lines, Lines]:
    """The commands for pcs and for crm, to be run on one node of the guests' cluster."""
    return (
        Lines("pcs", tuple(_pcs(devices, two_nodes))),
        Lines("crm", tuple(_crm(devices, two_nodes))),
    )


def parameters(device: GuestDevice, two_nodes: bool) -> tuple[tuple[str, str], ...]:
    """All instance attributes of the device: the agent's, and those that Pacemaker's fencer keeps for itself."""
    longest = f"{device.timeout + MARGIN}s"
    found = dict(device.options)
    found["timeout"] = str(device.timeout)
    nodes = dict.fromkeys(GuestNode(node.name, node.vm) for node in device.nodes)
    if any(node.name != node.vm for node in nodes):
        found["pcmk_host_map"] = ";".join(f"{node.name}:{node.vm}" for node in nodes)
    elif nodes:
        found["pcmk_host_list"] = " ".join(node.name for node in nodes)
    found |= {f"pcmk_{action}_timeout": longest for action in ("reboot", "off", "on")}
    if two_nodes:
        found["pcmk_delay_max"] = DELAY_MAX
    return tuple(found.items())


def _pcs(devices: Sequence[GuestDevice], two_nodes: bool) -> Iterator[str]:
    for device in devices:
        settings = _quoted(parameters(device, two_nodes))
        yield f"pcs stonith create {_word(device.name)} {device.agent} {settings} op monitor {_monitor(device)}"
    for (node, level), names in _levels(devices).items():
        yield f"pcs stonith level add {level} {_word(node)} {' '.join(map(_word, names))}"
    yield from _pcs_example(devices)
    yield "pcs property set stonith-enabled=true"
    if two_nodes:
        yield "# instead of pcmk_delay_max, so that the node with the more important resources wins (and give the"
        yield "# resources a priority: pcs resource meta RESOURCE priority=1):"
        yield "# pcs property set priority-fencing-delay=15s"


def _crm(devices: Sequence[GuestDevice], two_nodes: bool) -> Iterator[str]:
    for device in devices:
        settings = _quoted(parameters(device, two_nodes))
        yield (
            f"crm configure primitive {_word(device.name)} stonith:{device.agent}"
            f" params {settings} op monitor {_monitor(device)}"
        )
    levels = _levels(devices)
    if levels:
        nodes = dict.fromkeys(node for node, _ in levels)
        yield "crm configure fencing_topology " + " ".join(_crm_topology(node, levels) for node in nodes)
    elif any(device.nodes for device in devices):
        yield "# an example of a topology (a second device follows the first, after a blank):"
        first = next(device for device in devices if device.nodes)
        names = dict.fromkeys(node.name for node in first.nodes)
        yield "# crm configure fencing_topology " + " ".join(f"{_word(name)}: {_word(first.name)}" for name in names)
    yield "crm configure property stonith-enabled=true"
    if two_nodes:
        yield "# instead of pcmk_delay_max, so that the node with the more important resources wins (and give the"
        yield "# resources a priority: crm resource meta RESOURCE set priority 1):"
        yield "# crm configure property priority-fencing-delay=15s"


def _pcs_example(devices: Sequence[GuestDevice]) -> Iterator[str]:
    first = next((device for device in devices if device.nodes), None)
    if first is not None and not _levels(devices):
        yield "# an example of a topology (a second device would be level 2):"
        for node in dict.fromkeys(node.name for node in first.nodes):
            yield f"# pcs stonith level add 1 {_word(node)} {_word(first.name)}"


def _levels(devices: Iterable[GuestDevice]) -> dict[tuple[str, int], list[str]]:
    """(node, level) -> devices; empty if every node has one method, for which Pacemaker needs no topology."""
    found: dict[tuple[str, int], list[str]] = {}
    for device in devices:
        for node in device.nodes:
            found.setdefault((node.name, node.level), []).append(device.name)
    several = len({level for _, level in found}) > 1 or any(len(names) > 1 for names in found.values())
    return dict(sorted(found.items())) if several else {}


def _crm_topology(node: str, levels: dict[tuple[str, int], list[str]]) -> str:
    """Commas join devices that must all succeed, blanks separate the levels."""
    return f"{_word(node)}: " + " ".join(
        ",".join(map(_word, names)) for (name, _), names in levels.items() if name == node
    )


def awkward_names(devices: Iterable[GuestDevice]) -> tuple[str, ...]:
    """The VMs whose names have a meaning in Pacemaker's host map; their UUIDs have none."""
    return tuple(
        dict.fromkeys(node.vm for device in devices for node in device.nodes if not _HARMLESS.fullmatch(node.vm))
    )


def _word(name: str) -> str:
    return shlex.quote(name)


def _monitor(device: GuestDevice) -> str:
    return f"interval=60s timeout={device.timeout + MONITOR_MARGIN}s"


def _quoted(settings: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in settings)
