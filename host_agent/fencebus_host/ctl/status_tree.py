"""Converts the picture of all hosts to a tree of lines: hosts, and on each the VMs that it claims.

Plain lines, not rich's tree: ten thousand VMs are to stand there at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from fencebus_schemas.status import Claim, HostState, HostStatus, Status, VmStatus
from fencebus_schemas.status_tables import age, many

COLOURS = {"running": "green", "paused": "yellow", "incoming": "cyan", "saved": "blue", "unknown": "red"}
GOOD = (HostState.HERE, HostState.HEARD)


def owners_tree(found: Status) -> Iterator[str]:
    """The hosts in order; what nobody has stands at the end."""
    on: dict[str, list[str]] = {host.name: [] for host in found.hosts}
    nowhere: list[str] = []
    for vm in found.vms:
        lives = [claim for claim in vm.claims if claim.state != "off"]
        for claim in lives:
            on.setdefault(claim.host, []).append(_vm(vm, claim))
        if not lives:
            nowhere.append(vm.name)
    hosts = {host.name: host for host in found.hosts}
    branches = [(_host(name, hosts.get(name)), vms) for name, vms in on.items()]
    if nowhere:
        branches.append(("off everywhere", nowhere))
    yield click.style(f"{many(len(found.hosts), 'host')}, {many(found.vms_known, 'VM')}", bold=True)
    for number, (name, vms) in enumerate(branches, 1):
        yield from _branch(name, vms, number == len(branches))


def _branch(name: str, leaves: Sequence[str], is_last: bool) -> Iterator[str]:
    yield f"{'└── ' if is_last else '├── '}{name}"
    stem = "    " if is_last else "│   "
    yield from (f"{stem}├── {leaf}" for leaf in leaves[:-1])
    yield from (f"{stem}└── {leaf}" for leaf in leaves[-1:])


def _host(name: str, host: HostStatus | None) -> str:
    if host is None:
        return f"{name} {click.style('no member', fg='red')}"
    is_good = host.state in GOOD
    ago = "" if is_good or host.heard_ago is None else f", last heard {age(host.heard_ago)} ago"
    return f"{name} {click.style(host.state.value + ago, fg='green' if is_good else 'red')}"


def _vm(vm: VmStatus, claim: Claim) -> str:
    marks = click.style("  " + " ".join(vm.troubles), fg="red", bold=True) if vm.troubles else ""
    return f"{vm.name} {click.style(claim.state, fg=COLOURS.get(claim.state))}{marks}"
