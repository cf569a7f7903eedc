"""`fence_virtctl owners`: the picture of all hosts as a tree, or as a graph for graphviz."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from fencebus_host.ctl import status_print
from fencebus_host.ctl.completion import vm_names
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked
from fencebus_schemas.status import Status


@click.command()
@click.argument("names", nargs=-1, shell_complete=vm_names)
@click.option("--problems", is_flag=True, help="Only VMs with something odd about them.")
@click.option("--dot", is_flag=True, help="A graph for graphviz: `| dot -Tsvg > owners.svg`.")
@format_option(*status_print.FORMATS)
@config_option
def owners(names: tuple[str, ...], problems: bool, dot: bool, form: str, file: Path | None) -> ExitCode:
    """Show which host has which VM, with marks for what is migrating, claimed twice, unknown or on a silent host.

    \b
    Examples:
      fence_virtctl owners
      fence_virtctl owners --problems
      fence_virtctl owners --format html > owners.html
    """
    found = asked(Status, file, "status", {"names": list(names), "problems": problems})
    if dot:
        status_print.say(as_dot(found))
    elif form == "text":
        from fencebus_host.ctl.status_tree import owners_tree

        status_print.page(owners_tree(found))
    else:
        _tell(form, found)
    return ExitCode.OK


def _tell(form: str, found: Status) -> None:
    """JSON and XML are those of `status`; the page has the picture, the lines a row for each claim."""
    from fencebus_schemas.status_tables import CLAIM_HEAD, claim_rows

    if form == "html":
        from fencebus_schemas.status_page import to_page
        from fencebus_schemas.status_svg import STYLE, owners_svg

        told = replace(found, parts=(), routers=(), running=(), finished=())
        status_print.say(to_page(f"Owners, as {found.host} knows", told, owners_svg(found), STYLE).rstrip("\n"))
    else:
        status_print.tell(form, "status", found, lambda: [CLAIM_HEAD, *claim_rows(found.vms)])


def as_dot(found: Status) -> str:
    """An edge for each claim; dashed where the host has been silent since."""
    lines = ["digraph owners {", "  rankdir=LR; node [shape=box, fontname=sans];"]
    lines += [f"  {_quoted(host.name)} [label={_quoted(f'{host.name} ({host.state.value})')}];" for host in found.hosts]
    for vm in found.vms:
        lines.append(f"  {_quoted(vm.uuid)} [label={_quoted(vm.name)}, style=rounded];")
        lines += [
            f"  {_quoted(claim.host)} -> {_quoted(vm.uuid)} [label={_quoted(claim.state)}"
            + (", style=dashed];" if claim.silent else "];")
            for claim in vm.claims
            if claim.state != "off"
        ]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
