"""Decides which checks `fence_virtctl doctor` makes, in which order."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from fencebus_host.config.kills_here import own_libvirt
from fencebus_host.config.load import find, load
from fencebus_host.config.model import Config
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import ConfigError
from fencebus_host.control_client import NoDaemon, ask_daemon, read_parts, read_pause, socket_path
from fencebus_host.ctl.doctor.bus import check_bus
from fencebus_host.ctl.doctor.caches import check_caches
from fencebus_host.ctl.doctor.clocks import check_guest_clocks, check_host_clock, is_kept_right
from fencebus_host.ctl.doctor.corosync import check_corosync
from fencebus_host.ctl.doctor.daemon_checks import Running, check_daemon, check_ports
from fencebus_host.ctl.doctor.denials import check_denials
from fencebus_host.ctl.doctor.files import check_config, check_errors, check_keys
from fencebus_host.ctl.doctor.findings import Finding, as_json, as_text, exit_code
from fencebus_host.ctl.doctor.firewalls import check_filters
from fencebus_host.ctl.doctor.hypervisors import check_hypervisors, check_resources, check_ways
from fencebus_host.ctl.doctor.network import check_firewalld, check_interfaces
from fencebus_host.ctl.doctor.reach import check_reach, endpoints
from fencebus_host.ctl.doctor.round_trip import check_round_trips
from fencebus_host.ctl.doctor.sockets import holders
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.survey import survey

SECONDS = 10
"""For another program, such as cibadmin on a cluster that hangs."""


@click.command()
@click.option("-f", "--config", "file", type=click.Path(path_type=Path), help="The daemon's configuration.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def doctor(file: Path | None, form: str, root: Path) -> ExitCode:
    """Look for what keeps guests from being fenced; each finding comes with its fix. Changes nothing.

    The exit status is the worst finding: 0 fine, 5 a warning, 6 an error.

    \b
    Examples:
      fence_virtctl doctor
      fence_virtctl doctor --format json | jq .findings
    """
    found = list(_findings(file, root))
    click.echo(as_json(found) if form == "json" else as_text(found))
    return exit_code(found)


def _findings(file: Path | None, root: Path) -> Iterator[Finding]:
    try:
        config = load(find(file))
    except ConfigError as error:
        yield from check_errors(error.problems)
        return
    yield from check_config(config)
    yield from check_keys(config)
    running = _running(config)
    yield from check_daemon(running)
    yield from check_ports(config, running, holders)
    yield from check_interfaces(config, root)
    yield from _firewalls(config)
    yield from check_round_trips(config, running)
    yield from check_bus(config)
    yield from check_reach(endpoints(config))
    yield from _guests(config, root)
    yield from check_host_clock(is_kept_right())
    yield from check_denials(root)


def _firewalls(config: Config) -> Iterator[Finding]:
    if output_of("firewall-cmd", "--state") is None:
        yield from check_filters(config, output_of)
    else:  # its zones say what its rules in the kernel say, and say it better
        yield from check_firewalld(config, lambda option: output_of("firewall-cmd", *option.split()))


def _guests(config: Config, root: Path) -> Iterator[Finding]:
    @cache
    def describe(uri: str, name: str) -> str | None:
        return output_of("virsh", "-c", uri, "dumpxml", name)

    own = next((own for own in map(own_libvirt, parts_of(config.backend)) if own), None)
    site = survey(own.uris if own else (), root)
    yield from check_hypervisors(config, site)
    yield from check_corosync(config, site)
    yield from check_ways(config, site)
    yield from check_caches(site, describe)
    yield from check_guest_clocks(site, describe, lambda uri, name: output_of("virsh", "-c", uri, "domtime", name))
    cib = output_of("cibadmin", "--query", "--local")
    if cib is not None:
        yield from check_resources(cib.encode(), site, root)


def _running(config: Config) -> Running:
    try:
        told = ask_daemon(socket_path(config.daemon.state_dir), "status", {"most": 0})
        return Running(read_parts(told), pause=read_pause(told))
    except NoDaemon as error:
        return Running(trouble=error)


def output_of(program: str, *arguments: str) -> str | None:
    """What a program printed; ``None`` if it is not there, failed or hung."""
    done = _done(program, *arguments)
    return None if done is None or done.returncode else done.stdout.strip()


def _done(program: str, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        return None
    try:
        return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
