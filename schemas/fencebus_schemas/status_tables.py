"""Converts values of the data model to tables of text, and those to lines with tabs for other programs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from fencebus_schemas.status import (
    EventStatus,
    FinishedFence,
    HostStatus,
    RouterStatus,
    RuleStatus,
    RunningFence,
    Step,
    VmStatus,
)

Row = tuple[str, ...]

VM_HEAD: Row = ("name", "uuid", "state", "owner", "cluster", "since", "marks", "claims")
HOST_HEAD: Row = ("host", "state", "heard_ago", "vms", "claims", "incarnation", "proof")
ROUTER_HEAD: Row = ("router", "members", "heard", "synced", "quorate", "epoch", "connected", "bus")
FENCE_HEAD: Row = ("time", "id", "action", "target", "source", "via", "ok", "reason", "seconds", "text", "by")
CLAIM_HEAD: Row = ("host", "name", "uuid", "state", "silent", "hypervisor", "marks")
RULE_HEAD: Row = ("rule", "objects", "reason", "text", "says")
STEP_HEAD: Row = ("step", "ok", "text")
EVENT_HEAD: Row = ("number", "time", "kind", "host", "name", "vm", "request", "text")
YES: dict[object, str] = {True: "yes", False: "no"}
STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def vm_rows(vms: Iterable[VmStatus]) -> list[Row]:
    """A row for each VM."""
    return [
        (
            vm.name,
            vm.uuid,
            vm.state,
            vm.owner or "",
            vm.cluster or "",
            clock(vm.since),
            " ".join(vm.troubles),
            " ".join(f"{claim.host}={claim.state}{'?' if claim.silent else ''}" for claim in vm.claims),
        )
        for vm in vms
    ]


def claim_rows(vms: Iterable[VmStatus]) -> list[Row]:
    """A row for each host that says that it has a VM; a VM that nobody has stands with an empty host."""
    rows: list[Row] = []
    for vm in vms:
        marks = " ".join(vm.troubles)
        there = [each for each in vm.claims if each.state != "off"]
        rows += [(each.host, vm.name, vm.uuid, each.state, YES[each.silent], each.hypervisor, marks) for each in there]
        if not there:
            rows.append(("", vm.name, vm.uuid, vm.state, "", "", marks))
    return sorted(rows, key=lambda row: row[0])


def rule_rows(rules: Iterable[RuleStatus]) -> list[Row]:
    """A row for each rule of the verdict, and what it says of the evidence."""
    return [(rule.rule, YES[rule.objects], rule.reason, rule.text, rule.says) for rule in rules]


def step_rows(steps: Iterable[Step]) -> list[Row]:
    """A row for each step of a rehearsal."""
    return [(step.name, YES[step.ok], step.text) for step in steps]


def host_rows(hosts: Iterable[HostStatus]) -> list[Row]:
    """A row for each host."""
    return [
        (
            host.name,
            host.state.value,
            "" if host.heard_ago is None else f"{host.heard_ago:.1f}",
            str(host.vms),
            str(host.claims),
            host.incarnation,
            host.proof,
        )
        for host in hosts
    ]


def router_rows(routers: Iterable[RouterStatus]) -> list[Row]:
    """A row for each router among hosts; what it has not is empty."""
    return [
        (
            router.name,
            str(router.members),
            str(router.heard),
            YES[router.synced],
            YES.get(router.quorate, ""),
            "" if router.epoch is None else str(router.epoch),
            YES[router.connected],
            router.bus,
        )
        for router in routers
    ]


def fence_rows(finished: Iterable[FinishedFence], running: Iterable[RunningFence] = ()) -> list[Row]:
    """A row for each power action, those that run first."""
    pending: list[Row] = [
        (
            *(clock(one.at), one.id, one.action, one.target, one.source, one.via),
            *("", "pending", f"{one.seconds:.2f}", "", one.by),
        )
        for one in running
    ]
    return pending + [
        (
            clock(one.at),
            one.id,
            one.action,
            one.target,
            one.source,
            one.via,
            "yes" if one.ok else "no",
            one.reason,
            f"{one.seconds:.2f}",
            one.text,
            one.by,
        )
        for one in finished
    ]


def event_row(event: EventStatus) -> Row:
    """The row of one event."""
    about = (event.host, event.name, event.vm, event.request)
    return (str(event.number), clock(event.at), event.kind.value, *about, event.text)


def tsv(rows: Iterable[Sequence[str]]) -> str:
    """A line for each row; what would break a cell is written as ``\\t``, ``\\n``, ``\\\\``, ``\\x1b``."""
    return "".join("\t".join(_cell(cell) for cell in row) + "\n" for row in rows)


def clock(at: float | None) -> str:
    """Local time, as ISO 8601 writes it; empty if there is none."""
    if at is None:
        return ""
    zone = time.strftime("%z", time.localtime(at))
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)) + f"{zone[:3]}:{zone[3:]}"


def age(seconds: float | None) -> str:
    """A span of time in its greatest unit: 17 s, 3 min, 2 h, 5 d; empty if there is none."""
    if seconds is None:
        return ""
    length, unit = next((step for step in STEPS if seconds >= step[0]), STEPS[-1])
    return f"{max(0, int(seconds)) // length} {unit}"


def visible(text: str) -> str:
    """``text`` without a sign that a terminal obeys, or that ends a line: guests choose some of the words we show."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def many(number: int, what: str) -> str:
    """1 host, 2 hosts."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cell(text: str) -> str:
    return visible(text.replace("\\", "\\\\"))
