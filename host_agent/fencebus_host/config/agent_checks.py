"""Decides which programs may be routers: none that decides nothing, none that leads back to this daemon."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path

from fencebus_host.config.fence_agent_settings import AgentSettings
from fencebus_host.config.model import KeyedSettings, ListenerSettings

OWN_CLIENTS = ("fence_virt", "fence_xvm")
_DEFAULT_PORT = "1229"
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NOT_ALONE = {
    "fence_ack_manual": "it is an operator's word",
    "fence_delay": "it only waits",
    "fence_dummy": "it only pretends",
    "fence_heuristics_ping": "it only asks whether another agent should act",
    "fence_kdump": "it only waits for a crash dump",
    "fence_legacy": "it runs programs with another contract",
    "fence_sbd": "it acts on hosts",
    "fence_watchdog": "it only waits for a watchdog",
}
CAUTIONS = {
    "fence_rhevm": (
        "it takes a VM of which the manager knows nothing for running, and reports success with a wrong password",
        'backend = "ovirt"',
    ),
    "fence_virsh": (
        'it takes a VM that is "in shutdown" for off, though it runs',
        'backend = "libvirt" with uri = "qemu+ssh://HOST/system"',
    ),
}
"""Agents for which there is a better way: what is wrong with them, and that way."""


def why_not(agent: str) -> str:
    """Why a program cannot be a router at all; empty if it may."""
    if agent in _NOT_ALONE:
        return f"`{agent}` fences nothing by itself: {_NOT_ALONE[agent]}"
    if agent == "fence_xvm":
        return "`fence_xvm` would ask this host's own network, and so this daemon: use `fence_virt` with `ipaddr`"
    return ""


def why_unsafe_program(program: Path) -> str:
    """Why a file must not be run with a manager's credentials; empty if it may.  Looks at the disk."""
    try:
        folder, file = program.parent.resolve(strict=True), program.resolve(strict=True)
        looked = [(place, place.stat()) for place in (folder, file)]
    except FileNotFoundError:
        return f"there is no {program}: install the agent (Debian: fence-agents), or see `agent_dir`"
    except OSError as error:
        return f"{program}: {error.strerror or error}"
    if file.parent != folder:
        return f"{program} leads out of its folder, to {file}"
    if not stat.S_ISREG(looked[1][1].st_mode) or not looked[1][1].st_mode & stat.S_IXUSR:
        return f"{program} is not a program"
    for place, status in looked:
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"others than root may write {place}"
    return why_not(file.name) if file.name != program.name else ""


def why_loop(agent: AgentSettings, listeners: Iterable[ListenerSettings], is_own: Callable[[str], bool]) -> str:
    """Why an agent would ask this very daemon; empty if it does not.

    is_own: whether this host has an address.  Only our own clients can lead back here, and only C's daemon on another
    port, or another host, is somebody else.
    """
    if agent.agent not in OWN_CLIENTS:
        return ""
    said = {key.replace("-", "_"): value for key, value in agent.options}
    here = {"serial_device", "channel_address", "vsock", "multicast_address"} & said.keys()
    if here or "ipaddr" not in said:
        return f"`{agent.agent}` must be told another daemon's address (`ipaddr`), and no other way"
    try:
        address = ip_address(said["ipaddr"])
    except ValueError:
        return "`ipaddr` must be an address and not a name: a name may come to mean this host"
    own = address.is_loopback or address.is_unspecified or is_own(str(address))
    ports = {str(each.port) for each in listeners if isinstance(each, KeyedSettings)}
    port = said.get("ipport", _DEFAULT_PORT)
    plain = _PORT.fullmatch(port) is not None  # "01300" is 1300 for C
    return f"{address} port {port} is this daemon itself" if own and (port in ports or not plain) else ""
