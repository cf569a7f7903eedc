"""Decides what takes the place of each backend of the C daemon, and what a site must know about the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fencebus_host.config.convert.conversion import Remark, Weight
from fencebus_host.config.convert.made import key, section
from fencebus_host.config.tree import Item

_SUCCESSORS = {"checkpoint": "cpg", "libvirt-qpid": "libvirt-qmf", "pm-fence": "cpg"}
_CLUSTER = (
    "off of a VM that no host knows was a success from the highest node, and is a failure now",
    "a host whose fence_virtd left the group counted as dead; now the host itself must be proven fenced",
    "C's daemons and ours are not in one corosync group: convert all hosts before you rely on fencing across hosts",
)
_SAID = {
    "libvirt": ("status of a VM that nobody knows was OFF (exit 2), and is a failure now: unknown is not off",),
    "cpg": _CLUSTER,
    "checkpoint": ("`checkpoint` is `cpg` now: corosync alone, neither cman nor openais", *_CLUSTER),
    "libvirt-qmf": ("status was inverted in C (on was off), and is right now",),
    "libvirt-qpid": ("`libvirt-qpid` is `libvirt-qmf` now", "status was inverted in C (on was off), and is right now"),
    "pm-fence": (
        "`pm-fence` fenced resources of the hosts' Pacemaker by their ids; now VMs are fenced by their libvirt names",
        "Pacemaker on the hosts restarts a VM that is its resource: off will be undone; `fence_virtctl doctor` warns",
    ),
    "null": ("`null` fails every action, in C as here: no guest can be fenced",),
}
_DECIDE = ("pm-fence", "null")


@dataclass(frozen=True, slots=True)
class Replaced:
    """The sections with the backends of today."""

    daemon: tuple[Item, ...]
    backends: tuple[Item, ...]
    remarks: tuple[Remark, ...]


def replace_backend(asked: str, daemon: Sequence[Item], backends: Sequence[Item]) -> Replaced:
    """``daemon`` and ``backends`` with the successor of the backend ``asked`` for, if it has one.

    Sections of backends that were not in use are left out: nothing read them.
    """
    old = asked.lower()
    new = _SUCCESSORS.get(old, old)
    weight = Weight.DECIDE if old in _DECIDE else Weight.CHANGED
    remarks = [Remark(weight, f"backend {old}: {text}") for text in _SAID.get(old, ())]
    unused = [item.name for item in backends if item.name != old]
    if unused and old in _SAID:
        remarks.append(Remark(Weight.DROPPED, f"backends not in use: {', '.join(unused)}"))
    if old not in _SAID:
        return _unknown(old, daemon, backends)
    own = next((item.children or () for item in backends if item.name == old), ())
    kept = _carry_over(old, own, backends, daemon)
    changed = [
        key("backend", new) if item.called("backend") else item for item in daemon if not item.called("name_mode")
    ]
    return Replaced(tuple(changed), (section(new, kept),), tuple(remarks))


def _unknown(old: str, daemon: Sequence[Item], backends: Sequence[Item]) -> Replaced:
    text = f"backend {old}: there is none of this name" if old else "no `backend`: C did not start; libvirt is taken"
    rest = tuple(item for item in daemon if not item.called("backend"))
    libvirt = tuple(item for item in backends if item.name == "libvirt")
    return Replaced((*rest, key("backend", "libvirt")), libvirt, (Remark(Weight.DECIDE, text),))


def _carry_over(old: str, own: Sequence[Item], backends: Sequence[Item], daemon: Sequence[Item]) -> list[Item]:
    found = [item for item in own if old != "pm-fence"]
    if old == "checkpoint" and not any(item.called("uri") for item in own):
        found += [item for section in backends if section.name == "libvirt" for item in section.children or ()]
    if old == "libvirt-qpid" and not any(item.called("port") for item in own):
        found.append(key("port", "49000"))
    mode = [item for item in daemon if item.called("name_mode")]
    if old in ("cpg", "checkpoint") and not any(item.called("name_mode") for item in own):
        found += mode
    return found
