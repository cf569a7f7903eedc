"""Decides what `fence_virtctl config convert` reads, prints and writes."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import click

from fencebus_host.config.commented import render_commented
from fencebus_host.config.convert import c_conf, cluster_conf, xvmd
from fencebus_host.config.convert.conversion import (
    MAX_SOURCE,
    Conversion,
    GuestNode,
    Remark,
    SourceError,
    Weight,
)
from fencebus_host.config.convert.guest_side import EXAMPLE, device_for
from fencebus_host.config.convert.pacemaker_lines import Lines, awkward_names, lines_for
from fencebus_host.config.load import load_text
from fencebus_host.config.problems import ConfigError, Where
from fencebus_host.config.regular_file import read_regular
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.writing import write_after_preview

HEAD = ("Made by `fence_virtctl config convert` from", "", "Check it: fence_virtctl config check FILE")


@click.command()
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--fence-xvmd", metavar="OPTIONS", help="How fence_xvmd was started, such as: -L -I virbr0")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write the new configuration.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--node", "nodes", multiple=True, metavar="NODE[:VM]", help="A node of the guests' cluster, and its VM.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print the result.")
def convert(
    source: Path | None, fence_xvmd: str | None, output: Path | None, yes: bool, nodes: tuple[str, ...], form: str
) -> ExitCode:
    """Make a configuration from SOURCE: a cluster.conf, or a fence_virt.conf of the C daemon.

    Prints it, tells what changed its meaning, and gives the lines for the guests' Pacemaker.

    \b
    Examples:
      fence_virtctl config convert /etc/cluster/cluster.conf -o new.conf
      fence_virtctl config convert old.conf --node node1:vm1 --node node2:vm2
      fence_virtctl config convert --fence-xvmd "-L -I virbr0"
    """
    try:
        found = _with_names_checked(_checked(_with_guests(_converted(source, fence_xvmd), nodes)))
    except (SourceError, OSError) as error:
        click.echo(error, err=True)
        return ExitCode.BAD_SOURCE
    text = render_commented(found.items, (*HEAD[:1], f"  {source or 'fence_xvmd ' + (fence_xvmd or '')}", *HEAD[1:]))
    lines = lines_for(found.devices, found.two_nodes)
    if form == "json":
        click.echo(_as_json(found, text, lines))
    else:
        click.echo(_as_text(found, "" if output else text, lines))
    if output and found.items:
        return ExitCode.OK if write_after_preview(output, text, yes) else ExitCode.DECLINED
    return ExitCode.OK


def _converted(source: Path | None, fence_xvmd: str | None) -> Conversion:
    options = None if fence_xvmd is None else xvmd.read_command_line(_words(fence_xvmd))
    if source is None:
        if options is None:
            raise click.UsageError("name a file, or give --fence-xvmd")
        return xvmd.convert(options)
    content, _ = read_regular(source, MAX_SOURCE + 1)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(str(source), f"it is UTF-16: iconv -f UTF-16 -t UTF-8 {shlex.quote(str(source))} > NEW_FILE")
    if content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return cluster_conf.convert(content, str(source), options)
    if options is not None:
        raise click.UsageError("--fence-xvmd goes with a cluster.conf; this is a fence_virt.conf")
    if len(content) > MAX_SOURCE:
        raise SourceError(str(source), f"it has more than {MAX_SOURCE} bytes")
    return _from_c(content.removeprefix(b"\xef\xbb\xbf"), str(source))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise SourceError("fence_xvmd", f"its options are no command line: {str(error).lower()}") from None


def _from_c(content: bytes, source: str) -> Conversion:
    """C took any bytes; a file of its days that is not UTF-8 is most probably Latin-1."""
    try:
        return c_conf.convert(content.decode(), source)
    except UnicodeDecodeError:
        found = c_conf.convert(content.decode("latin-1"), source)
    remark = Remark(Weight.DECIDE, "the file is not UTF-8; it was read as Latin-1: look at the names", Where(source))
    return replace(found, remarks=(remark, *found.remarks))


def _with_guests(found: Conversion, named: tuple[str, ...]) -> Conversion:
    """``found``, with a device that reaches its first listener if the source told of no guests."""
    nodes = tuple(_node(text) for text in named)
    if found.devices or not found.items:
        if nodes:
            raise click.UsageError("--node: the file names the nodes itself")
        return found
    try:
        listeners = load_text(render_commented(found.items), "new configuration", read_keys=False).listeners
    except ConfigError:
        return found  # _checked says what is wrong
    devices = tuple(device_for(listener, nodes or EXAMPLE) for listener in listeners[:1])
    text = "node1, node2, vm1 and vm2 are examples; --node NODE:VM puts the real ones"
    remarks = found.remarks if nodes else (*found.remarks, Remark(Weight.DECIDE, f"the lines for the guests: {text}"))
    return replace(found, devices=devices, two_nodes=len(nodes or EXAMPLE) == 2, remarks=remarks)


def _node(text: str) -> GuestNode:
    name, _, vm = text.partition(":")
    if not name:
        raise click.UsageError(f"--node {text}: the name of the node is missing")
    return GuestNode(name, vm or name)


def _checked(found: Conversion) -> Conversion:
    """``found``, with a remark for each reason why the daemon of this host would not start with it now."""
    if not found.items:
        return found
    from fencebus_host.daemon import OFFER  # late: completion at every press of a key does not need the daemon

    remarks = []
    try:
        config = load_text(render_commented(found.items), "new configuration")
        kind = config.backend.kind
        if kind not in OFFER.backends:
            offered = ", ".join(OFFER.backends)
            text = f"this version of fence_virtd does not run the backend {kind} yet; it runs: {offered}"
            remarks.append(Remark(Weight.DECIDE, text))
    except ConfigError as error:
        remarks = [Remark(Weight.DECIDE, str(problem)) for problem in error.problems]
    return replace(found, remarks=(*found.remarks, *remarks))


def _with_names_checked(found: Conversion) -> Conversion:
    awkward = awkward_names(found.devices)
    text = f"pcmk_host_map cannot take these VMs by name; write their UUIDs: {', '.join(awkward)}"
    return replace(found, remarks=(*found.remarks, Remark(Weight.DECIDE, text))) if awkward else found


def _as_text(found: Conversion, text: str, lines: tuple[Lines, ...]) -> str:
    parts = [f"=== configuration of the host ===\n{text}"] if text and found.items else []
    report = "\n".join(map(str, found.remarks)) or "nothing changed its meaning"
    parts.append(f"=== what to know ===\n{report}\n")
    if found.devices:
        parts += [f"=== for the guests' Pacemaker, with {one.tool} ===\n{one}\n" for one in lines]
    return "\n".join(parts)


def _as_json(found: Conversion, text: str, lines: tuple[Lines, ...]) -> str:
    remarks = [
        {"weight": one.weight.value, "text": one.text, "where": str(one.where) if one.where else None}
        for one in found.remarks
    ]
    guests = {one.tool: list(one.lines) for one in lines} if found.devices else {}
    return json.dumps({"version": 1, "configuration": text, "remarks": remarks, "guests": guests}, indent=2)
