"""Converts a daemon's state to one page of HTML that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fencebus_schemas.status import Status
from fencebus_schemas.status_tables import (
    FENCE_HEAD,
    HOST_HEAD,
    ROUTER_HEAD,
    VM_HEAD,
    clock,
    fence_rows,
    host_rows,
    router_rows,
    vm_rows,
)

STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;max-width:80rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.2rem .8rem .2rem 0;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent);vertical-align:top}"
    ".error{color:light-dark(#b00020,#ff8a80)}.warn{color:light-dark(#8a5a00,#ffcc66)}"
)


def to_html(status: Status) -> str:
    """The page."""
    title = f"fencebus on {status.host}"
    troubles = "".join(
        f'<li class="{one.health.value}">{escape(one.text)} <code>{escape(one.code)}</code></li>'
        for one in status.problems
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f'<h1>{escape(title)}: <span class="{status.health.value}">{status.health.value.upper()}</span></h1>'
        f"<p>{escape(clock(status.at))}, router {escape(status.router)}, {status.vms_known} VMs</p><ul>{troubles}</ul>"
        + _table("Hosts", HOST_HEAD, host_rows(status.hosts))
        + (_table("Routers", ROUTER_HEAD, router_rows(status.routers)) if status.routers else "")
        + _table("Virtual machines", VM_HEAD, vm_rows(status.vms))
        + _table("Fences", FENCE_HEAD, fence_rows(status.finished, status.running))
        + "</body></html>\n"
    )


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
