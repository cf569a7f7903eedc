"""What the README tells a guest to type, typed in a guest."""

from __future__ import annotations

import pytest

from tests.documents import Page, rows
from tests.guests.machine import HOST_ADDRESS
from tests.guests.world import GuestWorld

pytestmark = pytest.mark.timeout(170)

ROWS = rows(Page("README.md").section("A quick start per listener"))
VSOCK = "vsock"
"""No test machine has it for its guests: it is tried over other sockets (tests/host_agent/listeners/test_vsock.py)."""


def test_every_way_of_the_quick_start_shows_a_guest_what_it_may_fence(guests: GuestWorld) -> None:
    guests.make_ready()
    tried = []
    for way, _, command in ROWS:
        if way != VSOCK:
            # The second guest has a guestfwd, the first a virtio port; each has its own network to the host.
            node = guests.two if "-A" in command else guests.one
            said = node.run(f"/ours/{command.replace('192.168.122.1', HOST_ADDRESS)}")
            assert said.status == 0, (command, said)
            assert "target" in said.output, command
            tried.append(way)
    assert tried == ["multicast", "TCP", "serial line", "VM channel (virtio)", "VM channel (guestfwd)"]
