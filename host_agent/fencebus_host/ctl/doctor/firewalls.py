"""Looks at packet filters that nobody but the kernel speaks for: rules of nftables and of iptables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fencebus_host.config.model import Config, Family, MulticastSettings, TcpSettings
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd
from fencebus_host.ctl.doctor.iptables_rules import read_iptables
from fencebus_host.ctl.doctor.nft_rules import read_nft
from fencebus_host.ctl.doctor.packet_filter import Act, Fate, Packet, Ruleset, fate

Run = Callable[..., str | None]
"""Runs a program with arguments; what it printed, ``None`` if it is not there or failed."""


def check_filters(config: Config, run: Run) -> Iterator[Finding]:
    """The kernel's rules let requests in: UDP for multicast, TCP for tcp."""
    for listener in config.listeners:
        if isinstance(listener, MulticastSettings | TcpSettings):
            multicast = isinstance(listener, MulticastSettings)
            interface = listener.interface if isinstance(listener, MulticastSettings) else None
            ipv6 = listener.family is Family.IPV6
            packet = Packet("udp" if multicast else "tcp", listener.port, interface, ipv6)
            yield _told(packet, _rules(packet, run))


def _rules(packet: Packet, run: Run) -> Ruleset | None:
    # nft shows what iptables wrote too, unless that is the iptables of old, which is asked where nft is not.
    printed = run("nft", "-j", "list", "ruleset")
    if printed is not None:
        return read_nft(printed, packet)
    printed = run("ip6tables" if packet.ipv6 else "iptables", "-S")
    return None if printed is None else read_iptables(printed, packet)


def _told(packet: Packet, rules: Ruleset | None) -> Finding:
    if rules is None:
        return good("firewall", f"neither nft nor iptables is here to ask; another firewall must let {packet} in")
    found: Fate = fate(rules)
    if found.act is not Act.DROP:
        return good("firewall", f"the kernel's packet filter lets {packet} in")
    over = f"iifname {packet.interface} " if packet.interface else ""
    fix = f"before it: {over}{packet.protocol} dport {packet.port} accept (see: nft -a list ruleset; iptables -S)"
    if found.some_pass:
        return odd("firewall", f"{found.by} drops {packet}, save for some senders: are the guests among them?", fix)
    return bad("firewall", f"{found.by} drops {packet}: requests of guests do not arrive", fix)
