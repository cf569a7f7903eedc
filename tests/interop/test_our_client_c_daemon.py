"""Our client against C's daemon: hash types, keys, IPv6 multicast, and the lists that only C sends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.components import require_program
from tests.interop.programs import Make, Plan, Transport, site
from tests.interop.worlds import ALPHA, BETA, Vm, write_world

LONG = Vm("l" * 63)
LONGER = Vm("m" * 70)
HASHES = ("none", "sha1", "sha256", "sha512")


def world(folder: Path, *vms: Vm) -> tuple[str]:
    return (write_world(folder / "world.xml", vms or (ALPHA, BETA)),)


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
@pytest.mark.parametrize("hash_", HASHES)
def test_every_hash_that_the_daemon_allows_is_accepted(tmp_path: Path, transport: Transport, hash_: str) -> None:
    plan = Plan(world(tmp_path), transport, 'hash = "none";')
    with site(Make.C, plan, tmp_path / "site") as place:
        done = place.ask(Make.OURS, "-o", "status", "-n", "alpha", "-c", hash_)
    assert done.told == (0, "Status: ON\n"), done.err


@pytest.mark.parametrize("auth", HASHES)
def test_every_challenge_of_c_s_multicast_listener_is_met(tmp_path: Path, auth: str) -> None:
    plan = Plan(world(tmp_path), Transport.MULTICAST, f'auth = "{auth}";')
    with site(Make.C, plan, tmp_path / "site") as place:
        done = place.ask(Make.OURS, "-o", "off", "-n", "alpha", "-C", auth)
        assert done.told == (0, ""), done.err
        assert place.ask(Make.OURS, "-o", "status", "-n", "alpha", "-C", auth).told == (2, "Status: OFF\n")


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_another_key_gets_nothing_and_is_told_in_time(tmp_path: Path, transport: Transport) -> None:
    with site(Make.C, Plan(world(tmp_path), transport), tmp_path / "site") as place:
        other = tmp_path / "other.key"
        other.write_bytes(b"another")
        done = place.ask(Make.OURS, "-k", str(other), "-o", "off", "-n", "alpha", "-t", "2")
        assert done.status == 1
        assert done.undisturbed < 4
        assert done.err.startswith("Operation failed\n")
        assert place.ask(Make.OURS, "-o", "status", "-n", "alpha").told == (0, "Status: ON\n")


def test_names_without_a_nul_are_listed_apart_from_their_uuid(tmp_path: Path) -> None:
    plan = Plan(world(tmp_path, ALPHA, LONG, LONGER))
    with site(Make.C, plan, tmp_path / "site") as place:
        ours = place.ask(Make.OURS, "-o", "list").out.splitlines()
        by_c = place.ask(Make.C, "-o", "list").out
    listed = {line.split()[0]: line.split()[1:] for line in ours}
    assert listed["alpha"] == [ALPHA.uuid, "on"]
    for vm in (LONG, LONGER):
        assert listed[vm.name[:63]] == [vm.uuid, "on"]
    # C's client prints the 63 bytes, then whatever lay in the daemon's stack, then the UUID.
    assert not [line for line in by_c.splitlines() if line.split()[0] == LONGER.name[:63]]


def test_ipv6_multicast_reaches_c_s_daemon(tmp_path: Path) -> None:
    plan = Plan(world(tmp_path), Transport.MULTICAST)
    with site(Make.C, plan, tmp_path / "site") as place:
        prefix = place.network.prefix
        ip = str(require_program("ip", "iproute2"))
        for words in (
            "link add v0 type veth peer name v1",
            "addr add fd00:1::1/64 dev v0 nodad",
            "link set v0 up",
            "link set v1 up",
        ):
            subprocess.run([*prefix, ip, *words.split()], check=True)
        place.daemon.stop(grace=1.0)
        text = place.plan.text(Make.C, place.folder)
        address = 'family = "ipv6"; address = "ff05::3:1";'
        (place.folder / "fence_virt.conf").write_text(text.replace('interface = "lo";', address))
        place.daemon.start()
        place.daemon.wait_until(lambda: ":04CD " in Path(f"/proc/{place.network.pid}/net/udp6").read_text())
        for client in Make:
            done = place.ask(client, "-i", "ipv6", "-o", "status", "-n", "alpha", "-t", "5")
            assert done.told == (0, "Status: ON\n"), done.err
