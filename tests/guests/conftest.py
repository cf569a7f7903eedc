"""Provides the guests' host: two guests, a VM to fence, libvirtd and fence_virtd; booted once for the session."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.components import require_file, require_program, require_root
from tests.guests import image, site
from tests.guests.machine import Machine
from tests.guests.world import GuestWorld
from tests.libvirtd import Libvirtd


@pytest.fixture(scope="session")
def guests() -> Iterator[GuestWorld]:
    """Two running guests and a VM that they may fence, with fence_virtd on their host."""
    require_root()
    require_program("libvirtd", "libvirt-daemon-system")
    require_program("qemu-system-x86_64", "qemu-system-x86")
    require_file("/dev/net/tun", "a kernel with tun")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True)))
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(512))
        files = image.build(folder, key.read_bytes())
        network = stack.enter_context(site.bridged())
        with site.inside(network):
            libvirtd = stack.enter_context(Libvirtd(folder))
        nodes = Machine(libvirtd, files, "node1", 11), Machine(libvirtd, files, "node2", 12, channel=False)
        for node in nodes:
            node.start()
            stack.callback(node.close)
        target = libvirtd.run("target")
        host = stack.enter_context(site.host(network, libvirtd))
        for node in nodes:
            node.wait()
        yield GuestWorld(host, *nodes, target)
