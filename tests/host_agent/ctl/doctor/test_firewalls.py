"""Rules that the kernel itself was given, by nft and by iptables, and what the doctor makes of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config
from fencebus_host.ctl.doctor.command import output_of
from fencebus_host.ctl.doctor.findings import Finding, Level
from fencebus_host.ctl.doctor.firewalls import check_filters
from fencebus_host.ctl.doctor.iptables_rules import read_iptables
from fencebus_host.ctl.doctor.nft_rules import read_nft
from fencebus_host.ctl.doctor.packet_filter import Act, Match, Packet, Rule, Ruleset, fate
from tests.components import require_program
from tests.host_agent.config.conf import multicast, tcp
from tests.namespaces import own_network

UDP = Packet("udp", 1229, "virbr0", ipv6=False)
TCP = Packet("tcp", 1229, None, ipv6=False)
DROP_ALL = "-P INPUT DROP\n"


@pytest.fixture
def network() -> Iterator[None]:
    """Where rules may be made."""
    with own_network():
        yield


def settings(text: str) -> Config:
    return load_text(text, "x", read_keys=False)


def filtered(rules: str) -> None:
    """Give the kernel these rules in a chain through which everything comes in."""
    nft = require_program("nft", "nftables")
    table = f"table inet own {{\n chain guests {{\n udp dport 1000-2000 accept\n }}\n chain door {{\n{rules}\n }}\n}}\n"
    subprocess.run([nft, "-f", "-"], input=table, text=True, check=True)


def looked(config: Config) -> Finding:
    (found,) = check_filters(config, output_of)
    return found


HOOK = "type filter hook input priority 0; policy {};\n"


@pytest.mark.parametrize(
    ("policy", "rules", "level"),
    (
        ("accept", "", Level.OK),
        ("drop", "", Level.ERROR),
        ("drop", "ct state established,related accept\n udp dport { 53, 67 } accept", Level.ERROR),
        ("drop", "udp dport { 53, 1229 } counter accept", Level.OK),
        ("drop", "meta l4proto udp th dport 1229 accept", Level.OK),
        ("drop", 'iifname "virbr*" jump guests', Level.OK),
        ("drop", 'iifname "eth0" accept', Level.ERROR),
        ("drop", "tcp dport 1229 accept", Level.ERROR),
        ("drop", "ip saddr 192.0.2.0/24 udp dport 1229 accept", Level.WARNING),
        ("accept", "udp dport 1000-2000 reject", Level.ERROR),
        ("accept", "udp dport != 53 drop", Level.ERROR),
        ("accept", "udp dport 53 accept\n meta l4proto udp limit rate 5/second log\n reject", Level.ERROR),
        ("accept", "ct state invalid drop\n ct state new accept\n drop", Level.OK),
        ("accept", "meta nfproto ipv6 drop\n ip protocol udp return\n drop", Level.OK),
    ),
)
def test_what_nft_was_told_is_judged_as_the_kernel_does(
    network: None, key_file: Path, policy: str, rules: str, level: Level
) -> None:
    filtered(HOOK.format(policy) + rules)
    found = looked(settings(multicast(key_file, 'interface = "virbr0";')))
    assert (found.level, found.code) == (level, "firewall"), found
    assert (level is Level.OK) == (found.fix == "")


def test_a_tcp_listener_may_be_asked_over_some_interfaces_alone(network: None, key_file: Path) -> None:
    filtered(HOOK.format("drop") + 'iifname "lo" accept')
    assert looked(settings(tcp(key_file))).level is Level.ERROR
    filtered('iifname "virbr0" tcp dport 1229 accept')
    found = looked(settings(tcp(key_file)))
    assert (found.level, found.text) == (
        Level.WARNING,
        "the policy of the chain inet own door drops 1229/tcp, save for some senders: are the guests among them?",
    )


def test_what_iptables_was_told_is_seen_through_nft_and_through_iptables_alike(network: None, key_file: Path) -> None:
    iptables = require_program("iptables", "iptables")
    for line in ("-A INPUT -p udp --dport 53 -j ACCEPT", "-A INPUT -p udp -m udp --dport 1229 -j REJECT"):
        subprocess.run([iptables, *line.split()], check=True)
    config = settings(multicast(key_file, 'interface = "virbr0";'))

    def without_nft(program: str, *words: str) -> str | None:
        return None if program == "nft" else output_of(program, *words)

    assert looked(config).level is Level.ERROR
    (found,) = check_filters(config, without_nft)
    assert found.level is Level.ERROR
    assert "the rule `-A INPUT -p udp -m udp --dport 1229 -j REJECT" in found.text
    assert found.fix.startswith("before it: iifname virbr0 udp dport 1229 accept")


@pytest.mark.parametrize(
    ("rules", "packet", "act", "some"),
    (
        ("-P INPUT ACCEPT\n", UDP, Act.ACCEPT, False),
        (DROP_ALL, UDP, Act.DROP, False),
        (DROP_ALL + "-A INPUT -i virbr0 -p udp -m multiport --dports 53,1000:2000 -j ACCEPT", UDP, Act.ACCEPT, False),
        (DROP_ALL + "-A INPUT -i virbr+ -j GUESTS\n-A GUESTS -j ACCEPT", UDP, Act.ACCEPT, False),
        (DROP_ALL + "-A INPUT ! -i virbr0 -j ACCEPT", UDP, Act.DROP, False),
        (DROP_ALL + "-A INPUT -s 192.0.2.0/24 -j ACCEPT", TCP, Act.DROP, True),
        (DROP_ALL + "-A INPUT -i lo -j ACCEPT\n-A INPUT -i eth0 -j ACCEPT", TCP, Act.DROP, True),
        (DROP_ALL + "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", TCP, Act.DROP, False),
        (DROP_ALL + "-A INPUT -m state --state NEW -m comment --comment 'in - out' -j ACCEPT", TCP, Act.ACCEPT, False),
        ("-P INPUT ACCEPT\n-A INPUT -j LOG --log-prefix x\n-A INPUT -p tcp -j REJECT", TCP, Act.DROP, False),
    ),
)
def test_lines_of_iptables_are_judged(rules: str, packet: Packet, act: Act, some: bool) -> None:
    found = fate(read_iptables(rules, packet))
    assert (found.act, found.some_pass) == (act, some)


def test_chains_that_call_each_other_for_ever_end() -> None:
    again = Rule("again", Match.YES, Act.CALL, "a")
    assert fate(Ruleset({"a": (again,)}, {"a": Act.ACCEPT})).act is Act.ACCEPT


@pytest.mark.parametrize("printed", ("", "[]", "{}", '{"nftables": 3}', '{"nftables": [7, {"rule": []}]}'))
def test_what_is_not_nfts_lets_everything_in(printed: str) -> None:
    assert fate(read_nft(printed, UDP)).act is Act.ACCEPT


def test_without_a_program_to_ask_that_is_said(key_file: Path) -> None:
    (found,) = check_filters(settings(tcp(key_file)), lambda *_: None)
    assert (found.level, "neither nft nor iptables" in found.text) == (Level.OK, True)
