"""A daemon that is stopped while a command waits in it: what nobody wants any more is dead when it goes on (S12)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from fencebus_schemas.model import Action
from tests.daemon_process import SECRET, DaemonProcess
from tests.libvirtd import Libvirtd
from tests.protocol_client import connect, signed
from tests.soak.oracle import living

STOPPED_SECONDS = 3.0


def test_s12_a_command_whose_requester_left_while_the_daemon_was_stopped_is_not_carried_out(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    vm = libvirtd.run("held")
    before = living([vm])[vm]
    with DaemonProcess(tmp_path, uri=libvirtd.uri) as daemon:
        daemon.wait_ready()
        with libvirtd.frozen():
            with connect(daemon.where, SECRET) as peer:
                peer.send(signed(SECRET, Action.OFF, vm))
                peer.handshake()
                daemon.wait_for_line("accepted request=")
                daemon.process.send(signal.SIGSTOP)
            time.sleep(STOPPED_SECONDS)
        time.sleep(0.1)  # libvirt's answer lies in the daemon's socket, beside the end of the connection
        daemon.process.send(signal.SIGCONT)
        daemon.wait_for_line("reason=requester-gone")
        assert living([vm])[vm] == before
    os.kill(before.pop()[0], signal.SIGKILL)
    libvirtd.discard(vm)
