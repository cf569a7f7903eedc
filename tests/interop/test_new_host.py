"""A new user's host, with a real libvirt and QEMU: the wizard, the daemon, the doctor, and the first proven fence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.components import CHECKOUT, require_program
from tests.guests.site import inside
from tests.interop.network import Network
from tests.libvirtd import Libvirtd

pytestmark = pytest.mark.timeout(120)

# /etc and the daemon's folders are those of this shell alone; what it writes there goes with it.
OWN_FOLDERS = """
mount --make-rprivate /
mkdir -p "$0/above" "$0/work" "$0/state" "$0/run" /var/lib/fencebus /run/fencebus
mount -t overlay -o "lowerdir=/etc,upperdir=$0/above,workdir=$0/work" overlay /etc
mount --bind "$0/state" /var/lib/fencebus
mount --bind "$0/run" /run/fencebus
mount -t sysfs sysfs /sys
rm -rf /etc/fence_virt.conf /etc/cluster /etc/corosync
"""
TYPED = """
fence_virtctl config wizard --yes
fence_virtd -F -p "$0/pid" >"$0/log" 2>&1 &
until grep -q "fence_virtd ready" "$0/log"; do sleep 0.05; done
fence_virtctl doctor || test $? = 5
fence_xvm -o list
fence_xvm -o reboot -n victim
fence_xvm -o off -n victim
fence_xvm -o status -n victim || test $? = 2
kill "$(cat "$0/pid")"
wait
cat "$0/log"
"""


def test_from_nothing_to_a_proven_fence_of_a_real_vm_within_a_minute(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    folder.mkdir()
    with Network() as network:
        ip = require_program("ip", "iproute2")
        for words in ("link add virbr0 type bridge", "addr add 192.168.122.1/24 dev virbr0", "link set virbr0 up"):
            subprocess.run([*network.prefix, ip, *words.split()], check=True)
        with inside(network), Libvirtd(folder) as libvirtd:
            libvirtd.run("victim")
            began = time.monotonic()
            done = typed_on(libvirtd, network, tmp_path / "own")
            seconds = time.monotonic() - began
            assert done.returncode == 0, done.stdout + done.stderr
    print(f"from nothing to the first proven fence: {seconds:.1f} s", file=sys.stderr)
    assert seconds < 60
    for text in (
        "hypervisor qemu:///system: victim",
        "bridge: virbr0",
        "made the key /etc/cluster/fence_xvm.key",
        "pcs stonith create fence_vm fence_xvm",
        "listener multicast answers this host's own request",
        "reason=rebooted",
        "reason=proven-off",
        "Status: OFF",
    ):
        assert text in done.stdout, done.stdout
    assert "ERROR" not in done.stdout, done.stdout


def typed_on(libvirtd: Libvirtd, network: Network, own: Path) -> subprocess.CompletedProcess[str]:
    """What comes of typing it on the host."""
    own.mkdir()
    programs = [Path(sys.executable).parent, CHECKOUT / "guest_client" / "bin"]
    path = os.pathsep.join([*map(str, programs), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    enter = ["nsenter", f"--mount=/proc/{libvirtd.namespace}/ns/mnt", f"--net=/proc/{network.pid}/ns/net"]
    script = ["unshare", "--mount", "sh", "-ec", OWN_FOLDERS + TYPED, str(own)]
    return subprocess.run([*enter, *script], env={"PATH": path}, capture_output=True, text=True, timeout=90)
