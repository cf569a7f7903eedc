"""Looks at this host for what discovery decides upon: VDSM, corosync, libvirt, the last choice.  Changes nothing."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fencebus_host.config.discovery import HostEvidence
from fencebus_host.config.model import DEFAULT_URI, Config, LibvirtSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.regular_file import read_regular

# Facts: managers 5, strongest first.
_VDSM = (
    "etc/vdsm/vdsm.id",
    "etc/vdsm/vdsm.conf",
    "run/vdsm/vdsmd.lock",
    "run/vdsm/svdsm.sock",
    "etc/pki/vdsm/certs/vdsmcert.pem",
)
_VDSM_LIBVIRT = ("etc/libvirt/libvirtd.conf", "etc/libvirt/virtqemud.conf", "etc/sasl2/libvirt.conf")
_VDSM_SECTION = re.compile(r"^##\s*beginning of configuration section by vdsm", re.MULTILINE | re.IGNORECASE)
_HINTS = (
    ("etc/ovirt-hosted-engine/hosted-engine.conf", re.compile(r"^fqdn\s*=\s*(\S+)", re.MULTILINE)),
    ("etc/vdsm-reg/vdsm-reg.conf", re.compile(r"^vdc_host_name\s*=\s*(\S+)", re.MULTILINE)),
    ("etc/kdump.conf", re.compile(r"^fence_kdump_nodes\s+(\S+)", re.MULTILINE)),
)
_ADDRESS = re.compile(r"[A-Za-z0-9.:-]{1,255}")
_LIBVIRT = ("run/libvirt/libvirt-sock", "run/libvirt/virtqemud-sock")
_MOST_BYTES = 1 << 20
_PATIENCE = 2.0
CHOICE_FILE = "router"
"""In the state folder: the name of the router that discovery took last."""


def look_for_vdsm(root: Path = Path("/")) -> HostEvidence:
    """Whether the host is VDSM's, and nothing else: all that matters where somebody chose a router."""
    vdsm = tuple(_vdsm_signs(root))
    return HostEvidence(vdsm=vdsm, manager_hint=_manager_hint(root) if vdsm else "")


def look(config: Config, built_in: Iterable[str], root: Path = Path("/")) -> HostEvidence:
    """What is seen below ``root``, and in the configuration."""
    return replace(
        look_for_vdsm(root),
        corosync_configured=(root / "etc/corosync/corosync.conf").is_file(),
        corosync_runs=_runs("corosync", root),
        configured=_configured(config),
        libvirt=_libvirt(config, root),
        remembered=remembered(config.daemon.state_dir),
        built_in=frozenset(built_in),
    )


def _configured(config: Config) -> tuple[str, ...]:
    """The backends that have a section, or were chosen."""
    chosen = parts_of(config.backend) if config.backend.where else ()
    return tuple(dict.fromkeys(one.kind for one in (*config.candidates, *chosen)))


def remembered(state_dir: Path) -> str:
    """The router taken last; what is there but cannot be read is no router's name, and so nothing is below it."""
    try:
        text, _ = read_regular(state_dir / CHOICE_FILE, 100)
    except FileNotFoundError:
        return ""
    except OSError:
        return "unreadable"
    return text.decode("ascii", "replace").strip() or "empty"


def _vdsm_signs(root: Path) -> Iterator[str]:
    for path in _VDSM:
        if (root / path).exists():
            yield f"/{path}"
    for path in _VDSM_LIBVIRT:
        if _VDSM_SECTION.search(_text(root / path)):
            yield f"/{path}"


def _manager_hint(root: Path) -> str:
    for path, pattern in _HINTS:
        found = pattern.search(_text(root / path))
        if found and _ADDRESS.fullmatch(found[1]):
            return f"{found[1]} (from /{path})"
    return ""


def _runs(program: str, root: Path) -> bool:
    """Whether it runs on this host's network; one in a container is no part of this host."""
    here = _network(root / "proc/self")
    found = (path for path in (root / "proc").glob("[0-9]*") if _text(path / "comm").strip() == program)
    return any(here is None or _network(path) in (here, None) for path in found if not _has_ended(path))


def _has_ended(process: Path) -> bool:
    """A process keeps its name until its parent has asked what became of it, and has no network any more."""
    return _text(process / "stat").rpartition(")")[2].split()[:1] in (["Z"], ["X"])


def _network(process: Path) -> str | None:
    """The network namespace of a process; ``None`` where nobody says."""
    try:
        return str((process / "ns/net").readlink())
    except OSError:
        return None


def _libvirt(config: Config, root: Path) -> str:
    """Why this host's libvirt does not answer; other URIs than its own are not tried."""
    named = [one for one in (*config.candidates, config.backend) if isinstance(one, LibvirtSettings)]
    if named and DEFAULT_URI not in named[0].uris:
        return f"libvirt at {', '.join(named[0].uris)}, as configured"
    found = [root / path for path in _LIBVIRT if (root / path).exists()]
    if not found:
        return "no libvirt"
    return "" if any(_accepts(path) for path in found) else "libvirt does not answer"


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_PATIENCE)
        try:
            link.connect(str(path))
        except OSError:
            return False
    return True


def _text(path: Path) -> str:
    try:
        return read_regular(path, _MOST_BYTES)[0].decode("utf-8", "replace")
    except OSError:
        return ""
