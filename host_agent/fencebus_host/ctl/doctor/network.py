"""Looks at the interfaces that multicast needs, and at firewalld's zones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from fencebus_host.config.model import Config, MulticastSettings, TcpSettings
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd

IFF_MULTICAST = 0x1000
LIBVIRT_ZONE = "libvirt"
"""libvirt puts its bridges into this zone, which rejects what it does not name (facts: UDP 1229 is not named)."""

Ask = Callable[[str], str | None]
"""Runs firewalld's command with one option; what it printed, ``None`` if it said no or is not there."""


def check_interfaces(config: Config, root: Path = Path("/")) -> Iterator[Finding]:
    """The interfaces of multicast listeners exist, take multicast, and do not lose it by snooping."""
    for listener in config.listeners:
        if isinstance(listener, MulticastSettings):
            yield from _interface(listener, root / "sys/class/net")


def _interface(listener: MulticastSettings, folder: Path) -> Iterator[Finding]:
    if listener.interface is None:
        text = f"listener {listener.name}: the kernel chooses the interface, which is seldom the guests' bridge"
        yield odd("interface", text, 'interface = "virbr0"; or whatever bridge the guests are on')
        return
    place = folder / listener.interface
    if not place.exists():
        yield bad("interface", f"there is no interface {listener.interface}", "ip link; virsh net-start default")
        return
    if not int(_read(place / "flags") or "0", 16) & IFF_MULTICAST:
        name = listener.interface
        yield bad("interface", f"{name} does not take multicast", f"ip link set {name} multicast on")
    elif _read(place / "bridge/multicast_snooping") == "1" and _read(place / "bridge/multicast_querier") == "0":
        text = f"{listener.interface} snoops and nobody queries: after minutes it may stop passing multicast on"
        yield odd("snooping", text, f"echo 1 > /sys/class/net/{listener.interface}/bridge/multicast_querier")
    else:
        yield good("interface", f"{listener.interface} takes multicast")


def check_firewalld(config: Config, ask: Ask) -> Iterator[Finding]:
    """The zones of firewalld let requests in: UDP for multicast, TCP for tcp."""
    for listener in config.listeners:
        if isinstance(listener, MulticastSettings | TcpSettings):
            protocol = "udp" if isinstance(listener, MulticastSettings) else "tcp"
            interface = listener.interface if isinstance(listener, MulticastSettings) else None
            yield _zone(_zone_of(interface, ask), f"{listener.port}/{protocol}", ask)


def _zone_of(interface: str | None, ask: Ask) -> str:
    found = ask(f"--get-zone-of-interface={interface}") if interface else None
    return found or (
        LIBVIRT_ZONE if interface and interface.startswith("virbr") else ask("--get-default-zone") or "public"
    )


def _zone(zone: str, port: str, ask: Ask) -> Finding:
    text = f"zone {zone} of firewalld"
    if ask(f"--zone={zone} --query-port={port}") is not None or _accepts_all(zone, ask):
        return good("firewalld", f"{text} lets {port} in")
    fix = f"firewall-cmd --permanent --zone={zone} --add-port={port} && firewall-cmd --reload"
    return bad("firewalld", f"{text} does not let {port} in: requests of guests are rejected", fix)


def _accepts_all(zone: str, ask: Ask) -> bool:
    # The zone `libvirt` has the target ACCEPT, and below it a rule that rejects everything after its ports.
    return ask(f"--permanent --zone={zone} --get-target") == "ACCEPT" and zone != LIBVIRT_ZONE


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
