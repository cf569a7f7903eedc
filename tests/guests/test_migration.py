"""A real guest migrates, running: its lines end on the host that it leaves, and begin on the one to which it goes."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guests import image
from tests.guests.hosts import TwinHost, two_hosts
from tests.guests.traveller import CONNECTING, PLACE, Traveller, sockets
from tests.interop.programs import Make, daemon_command
from tests.server_process import ServerProcess

pytestmark = pytest.mark.timeout(150)

CONFIG = f"""\
fence_virtd {{ listener = "serial"; backend = "libvirt"; }}
listeners {{ serial {{ path = "{PLACE}/serial"; mode = "serial"; }} }}
"""
SERIAL = "/ours/fence_virt -D /dev/ttyS1"
CHANNEL = "/ours/fence_virt"
C_CLIENT = "/usr/sbin/fence_virt -D /dev/ttyS1"
ON = (0, "Status: ON\n")


@dataclass(frozen=True)
class Journey:
    """A guest that goes, one that stays, and the daemons of both hosts."""

    goes: Traveller
    stays: Traveller
    far: TwinHost
    left: ServerProcess
    reached: ServerProcess


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    """Both guests on the first host, booted."""
    with two_hosts() as hosts, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-")))
        files = image.build(folder, b"no key is needed on a line")
        guests = Traveller(hosts[0], files, "guest1", 1), Traveller(hosts[0], files, "guest2", 2, CONNECTING)
        for host in hosts:
            sockets(host)
        daemons = [stack.enter_context(daemon(host)) for host in hosts]
        for guest in guests:
            guest.start()
            stack.callback(guest.close)
        for guest in guests:
            guest.wait()
        yield Journey(*guests, hosts[1], daemons[0], daemons[1])


def daemon(host: TwinHost) -> ServerProcess:
    """Our daemon on one of the hosts; it has libvirt's socket where every administrator has it."""
    config = host.libvirtd.folder / "fence_virt.conf"
    config.touch(mode=0o600)
    config.write_text(CONFIG.replace("backend =", f'state_dir = "{host.libvirtd.folder}/state"; backend ='))
    argv: list[str | Path] = [
        *host.prefix,
        *daemon_command(Make.OURS),
        "-F",
        "-d9",
        "-f",
        config,
        "-p",
        host.libvirtd.folder / "pid",
    ]
    return ServerProcess(argv, host.libvirtd.folder / "daemon.log")


def test_the_lines_of_a_guest_that_migrates_go_with_it_and_nobody_else_waits(journey: Journey) -> None:
    goes, stays = journey.goes, journey.stays
    for command in (SERIAL, CHANNEL, C_CLIENT):
        assert goes.run(f"{command} -o status -n guest2").told == ON
    # It rests while it is copied: of six emulated guests that were busy then, one had a program crash (SIGSEGV).
    with ThreadPoolExecutor(1) as beside:
        travel = beside.submit(goes.go_to, journey.far)
        while not travel.done():
            assert stays.run(f"{SERIAL} -o status -n guest2").told == ON
        travel.result()
    for line in ("/serial/guest1 of guest1", "/org.fencebus.fence.0 of guest1"):
        journey.left.wait_for_output(f"{line} is gone")
        journey.reached.wait_for_output(line)
    # Its vCPU waits for a processor while the other guest is copied; the daemon does not.
    assert max(daemon_seconds(journey.left, stays)) < 0.5
    for command in (SERIAL, CHANNEL, C_CLIENT):
        assert goes.run(f"{command} -o status -n guest1").told == ON
    assert len(daemon_seconds(journey.reached, goes)) >= len((SERIAL, CHANNEL, C_CLIENT))


def daemon_seconds(daemon: ServerProcess, guest: Traveller) -> list[float]:
    """How long each request of the guest has taken in the daemon."""
    return [float(each) for each in re.findall(rf"verdict .*source={guest.uuid} .*seconds=([\d.]+)", daemon.output)]


def test_where_the_daemon_listens_a_guest_finds_it_again_after_its_restart(journey: Journey) -> None:
    """QEMU connects by itself; what is asked meanwhile is asked again."""
    journey.stays.begin(f"{SERIAL} -o status -n guest2")
    restart(journey.left)
    assert journey.stays.finish().told == ON


def restart(daemon: ServerProcess) -> None:
    """Kill the daemon, which is a child of what entered its host for it, and start another."""
    (child,) = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    daemon.wait()
    before = daemon.output.count("fence_virtd ready")
    daemon.start()
    daemon.wait_until(lambda: daemon.output.count("fence_virtd ready") > before)


def test_after_a_migration_neither_host_lies_about_the_other_ones_guests(journey: Journey) -> None:
    goes, stays = journey.goes, journey.stays
    assert stays.run(f"{SERIAL} -o off -n guest1 -t 10").status not in (0, 2)
    assert stays.run(f"{SERIAL} -o status -n guest1").status not in (0, 2)
    assert goes.run(f"{SERIAL} -o off -n guest2 -t 10").status not in (0, 2)
    for guest in (goes, stays):
        assert guest.run("echo alive").told == (0, "alive\n")
