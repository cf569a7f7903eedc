"""Converts the picture of all hosts to a tree: hosts, and on each the VMs that it claims."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from fencebus_host.ctl.status_text import HOSTS, STATES
from fencebus_schemas.status import Claim, HostStatus, Status, VmStatus
from fencebus_schemas.status_tables import age


def owners_tree(found: Status) -> Tree:
    """The hosts in order; what is off or nobody has stands at the end."""
    tree = Tree(Text(f"{len(found.hosts)} hosts, {found.vms_known} VMs", "bold"), guide_style="dim")
    on: dict[str, list[tuple[VmStatus, Claim]]] = {host.name: [] for host in found.hosts}
    nowhere: list[VmStatus] = []
    for vm in found.vms:
        lives = [claim for claim in vm.claims if claim.state != "off"]
        for claim in lives:
            on.setdefault(claim.host, []).append((vm, claim))
        if not lives:
            nowhere.append(vm)
    hosts = {host.name: host for host in found.hosts}
    for name, pairs in on.items():
        branch = tree.add(_host(name, hosts.get(name)))
        for vm, claim in pairs:
            branch.add(_vm(vm, claim))
    if nowhere:
        branch = tree.add(Text("off everywhere", "dim"))
        for vm in nowhere:
            branch.add(Text(vm.name))
    return tree


def _host(name: str, host: HostStatus | None) -> Text:
    if host is None:
        return Text(f"{name} (no member)", "bold red")
    ago = f", last heard {age(host.heard_ago)} ago" if host.state in HOSTS and host.heard_ago is not None else ""
    return Text.assemble((name, "bold"), " ", (f"{host.state.value}{ago}", HOSTS.get(host.state, "green")))


def _vm(vm: VmStatus, claim: Claim) -> Text:
    line = Text.assemble(vm.name, " ", (claim.state, STATES.get(claim.state, "dim")))
    return line.append(f"  {' '.join(vm.troubles)}", "bold red") if vm.troubles else line
