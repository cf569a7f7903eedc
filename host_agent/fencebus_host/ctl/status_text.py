"""Converts a daemon's state to what people read on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fencebus_host.ctl.status_fences import Fences
from fencebus_schemas.status import (
    Health,
    HostState,
    HostStatus,
    PartStatus,
    Problem,
    RouterStatus,
    Status,
    VmStatus,
)
from fencebus_schemas.status_tables import age, many, visible

HEALTH = {Health.OK: "bold green", Health.WARN: "bold yellow", Health.ERROR: "bold red"}
STATES = {"running": "green", "paused": "yellow", "incoming": "cyan", "saved": "blue", "unknown": "bold red"}
HOSTS = {HostState.SILENT: "bold red", HostState.UNHEARD: "red", HostState.CONFLICT: "bold red"}


def status_text(status: Status, by: str, limited: bool, chosen: bool = False) -> RenderableType:
    """Everything; ``by`` is host, vm or cluster, ``limited`` says that not all VMs were asked for, ``chosen`` that they
    had to fit something.
    """
    pieces: list[RenderableType] = [heading(status), *(_problem(one) for one in status.problems)]
    if len(status.hosts) > 1:
        pieces += ["", hosts_table(status.hosts)]
    if status.vms:
        pieces += ["", vms_table(status.vms, by, status.at)]
    if limited and status.vms_known > len(status.vms):
        pieces.append(Text(_others(status, chosen=chosen), style="dim"))
    if status.parts:
        pieces += ["", *map(_part, status.parts), *map(router_line, status.routers)]
    if status.running or status.finished:
        pieces += ["", Fences(status.finished, status.running)]
    return Group(*pieces)


def _others(status: Status, *, chosen: bool) -> str:
    """What is to be said of the VMs that are not shown."""
    if chosen:
        return f"{len(status.vms) or 'none'} of {many(status.vms_known, 'VM')} shown, as chosen"
    more = many(status.vms_known - len(status.vms), "more VM")
    return f"{more}: --all shows them; names, --problems and --host choose among them"


def heading(status: Status) -> RenderableType:
    """One line that says how things stand."""
    line = Text()
    line.append(f"{status.host} ", "bold")
    line.append(status.health.value.upper(), HEALTH[status.health])
    counted = ", ".join(f"{one.vms} {one.state}" for one in status.states)
    line.append(f"  router {status.router}; {many(len(status.hosts), 'host')}; {many(status.vms_known, 'VM')}")
    line.append(f" ({counted})" if counted else "")
    line.append(f"; fence_virtd {status.program} for {age(status.at - status.started)}", "dim")
    return line


def _problem(problem: Problem) -> RenderableType:
    line = Text(f"  {problem.health.value.upper():5} ", HEALTH[problem.health])
    line.append(problem.text, "default")
    return line.append(f" [{problem.code}]", "dim")


def _part(part: PartStatus) -> RenderableType:
    if part.trouble:
        return Text(f"  {part.name}: {visible(part.trouble)}", "red")
    heard = "" if part.heard_ago is None else f", asked {age(part.heard_ago)} ago"
    return Text(f"  {part.name}: works{heard}")


def router_line(router: RouterStatus) -> Text:
    """Whom it knows and by what; on a terminal that is too narrow the end of the bus's name is left out."""
    words = [many(router.members, "member"), f"{router.heard} heard", "synced" if router.synced else "not synced"]
    if router.quorate is not None:
        words.append("quorate" if router.quorate else "no quorum")
    if router.epoch is not None:
        words.append(f"epoch {router.epoch}")
    words.append(f"{'on' if router.connected else 'not on'} {visible(router.bus) or 'the others'}")
    is_well = router.connected and router.quorate is not False
    style = "red" if not is_well else "" if router.synced else "yellow"
    return Text(f"  {router.name}: {', '.join(words)}", style, no_wrap=True, overflow="ellipsis")


def table(*columns: str) -> Table:
    """A table without lines, as wide as it has to be."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def hosts_table(hosts: Iterable[HostStatus]) -> Table:
    """A row for each host."""
    made = table("HOST", "STATE", "HEARD", "VMS", "LIVES", "DAEMON", "PROOF")
    for host in hosts:
        state = Text(host.state.value, HOSTS.get(host.state, "green"))
        heard = "" if host.state is HostState.HERE else f"{age(host.heard_ago)} ago" if host.heard_ago else "never"
        made.add_row(host.name, state, heard, str(host.vms), str(host.claims), host.incarnation, escape(host.proof))
    return made


def vms_table(vms: Iterable[VmStatus], by: str, now: float) -> Table:
    """A row for each VM, in the order that ``by`` asks for."""
    made = table("VM", "UUID", "STATE", "OWNER", "FOR", "CLUSTER", "MARKS")
    for vm in ordered(vms, by):
        span = age(now - vm.since) if vm.since is not None else ""
        state, marks = Text(vm.state, STATES.get(vm.state, "dim")), Text(" ".join(vm.troubles), "bold red")
        owner = vm.owner or ", ".join(sorted({claim.host for claim in vm.claims if claim.state != "off"}))
        made.add_row(escape(vm.name), vm.uuid[:8], state, escape(owner), span, escape(vm.cluster or ""), marks)
    return made


def vm_lines(vms: Iterable[VmStatus], by: str) -> list[str]:
    """The same, as plain lines for very many."""
    rows = [(vm.name, vm.uuid[:8], vm.state, vm.owner or "", " ".join(vm.troubles)) for vm in ordered(vms, by)]
    heads = [("VM", "UUID", "STATE", "OWNER", "MARKS")]
    widths = [max(len(row[column]) for row in heads + rows) for column in range(len(heads[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in heads + rows
    ]


def ordered(vms: Iterable[VmStatus], by: str) -> list[VmStatus]:
    """As they came, or together by owner or by guest cluster."""
    if by == "host":
        return sorted(vms, key=lambda vm: (vm.owner is None, vm.owner or ""))
    if by == "cluster":
        return sorted(vms, key=lambda vm: (vm.cluster is None, vm.cluster or ""))
    return list(vms)
